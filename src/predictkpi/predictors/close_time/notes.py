"""What lowers a deal's status: a field that is missing or holds what nobody has heard of, and deals that were not watched for long."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from predictkpi.core.arrays import Columns
from predictkpi.features.deal_activities import LAST_ACTIVITY
from predictkpi.features.deal_history import FURTHEST_STAGE
from predictkpi.predictors.close_time.hazard import Hazard
from predictkpi.predictors.close_time.periods import ENDS
from predictkpi.predictors.close_time.spec import LAST_DAY

FROM_EVENTS = (FURTHEST_STAGE, LAST_ACTIVITY)
"""Categories that are worked out from events: what is new there stands in no field of the deal, so it is not told of one."""


class Notes:
    """Of one fitted model: ``expected`` fields, and what its ``hazard``, where it has one, knows of each category."""

    def __init__(self, expected: Sequence[str], hazard: Hazard | None) -> None:
        self.expected, self.hazard = expected, hazard
        self._missing = [f"{name} is missing" for name in expected]
        self._known: list[tuple[str, str, Container[str]]] = []
        self._of_all: list[str] = []
        if hazard is not None:
            categories = {name: known for name, known in hazard.design.places.items() if name not in FROM_EVENTS}
            self._known = [(name, f"{name} was never seen in training", known) for name, known in categories.items()]
            if hazard.last_period < len(ENDS) - 1:
                watched = int(ENDS[hazard.last_period])
                self._of_all = [f"deals were watched for {watched} of {LAST_DAY} days: later days go on at that pace"]

    def of(self, inputs: Columns) -> Iterator[list[str]]:
        """Deal by deal."""
        absent: list[str] = []
        own: tuple[str, ...] = ()
        if self.hazard is not None:
            fields = self.hazard.design.attributes
            absent = fields.absent(inputs)
            own = tuple(name for name in fields.expected if name not in absent)
        of_all = [f"{name}, which the model learnt from, is no longer known" for name in absent] + self._of_all
        n, m = len(self.expected), len(self.expected) + len(self._known)
        for row in inputs.tuples((*self.expected, *(name for name, _, _ in self._known), *own)):
            notes = [note for note, value in zip(self._missing, row[:n], strict=True) if value is None or value != value]
            for (_, note, known), value in zip(self._known, row[n:m], strict=True):
                if value is not None and value not in known:
                    notes.append(note)
            notes += [f"{name} is missing" for name, value in zip(own, row[m:], strict=True) if value is None or value != value]
            yield notes + of_all
