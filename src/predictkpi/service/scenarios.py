"""What if, for API and dashboard: what does not depend on the question is worked out once a view, and the newest answers are kept."""

from __future__ import annotations

import threading
from typing import cast

from predictkpi.errors import PredictKpiError, SettingsError, UnknownNameError
from predictkpi.outlook.periods import Periods
from predictkpi.outlook.scenarios import Levers, Scenario, WhatIf
from predictkpi.pipelines.outlook import what_if
from predictkpi.service.outlooks import periods_of
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View

MOST_KEPT = 3
"""Each holds the sample paths of all scopes: some 10 MB of a company with 50 of them."""


class WhatIfs:
    """The scenarios of one view."""

    def __init__(self, view: View) -> None:
        self._periods = periods_of(view)
        self._known = WhatIf(self._periods.outlook, view.snapshot)
        self._kept: dict[object, Periods] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, view: View) -> WhatIfs:
        """Those of a view: one object a view. Raises as `periods_of`."""
        return cast(WhatIfs, view.page("what-ifs", cls))

    def prepare(self) -> None:
        """Work out what all scenarios share."""
        self._known.prepare()

    @property
    def levers(self) -> Levers:
        """What can be asked about."""
        return self._known.levers

    def under(self, scenario: Scenario) -> Periods:
        """The named sums under a scenario; `InvalidRequestError` names the parameter that cannot be."""
        key = (scenario.win_rate, scenario.cycle_days, tuple(sorted(scenario.spend.items())))
        found = self._kept.get(key)
        if found is None:
            found = self._made(scenario)
            with self._lock:
                while len(self._kept) >= MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = found
        return found

    def _made(self, scenario: Scenario) -> Periods:
        try:
            return what_if(self._periods, scenario, known=self._known)
        except (SettingsError, UnknownNameError) as error:
            raise InvalidRequestError.parameter(self._culprit(scenario), str(error)) from error

    def _culprit(self, scenario: Scenario) -> str:
        """The parameter that cannot be: the first that fails alone."""
        alone = {"win_rate": Scenario(win_rate=scenario.win_rate), "cycle_days": Scenario(cycle_days=scenario.cycle_days)}
        for name, one in alone.items():
            try:
                what_if(self._periods, one, known=self._known)
            except PredictKpiError:
                return name
        return "spend"
