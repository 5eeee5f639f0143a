"""What a reader asks the page: every part of the view stands in the address, so that a link restores it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Query, Request

from predictkpi.core import columns as c
from predictkpi.outlook.scenarios import Scenario
from predictkpi.predictors.revenue.scopes import dimensions_of
from predictkpi.service.problems import InvalidRequestError

PATH = "/forecast"
SPEND = "spend."
"""Begins the parameter of a channel: its name follows."""
MOST_MEMBERS = 12
"""Members that can be looked at side by side."""
MOST_YEARS = 30

Measure = Literal["level", "year_before", "previous"]
Length = Literal["W", "M", "Q"]
Lead = Literal["none", "0", "1", "2", "3", "5"]


@dataclass(frozen=True)
class Question:
    """One view of the page.

    ``by``: total or a dimension; ``of``: the members that are chosen, as scopes. ``measure``: the level or the growth on the period
    before or the year before. ``years`` of history; ``lead``: how many months before its own month a past forecast was made.
    """

    by: str = c.TOTAL
    of: tuple[str, ...] = ()
    measure: Measure = "level"
    freq: Length = "M"
    years: int = 2
    lead: Lead = "1"
    scenario: Scenario = field(default_factory=Scenario)

    @property
    def is_level(self) -> bool:
        """Whether amounts are asked for, not growth."""
        return self.measure == "level"

    def address(self, path: str = PATH, **changes: Any) -> str:
        """The address of this view, or of one that differs from it in these; what is as usual is left out."""
        asked, usual = replace(self, **changes), Question()
        plain = {name: getattr(asked, name) for name in ("by", "measure", "freq", "years", "lead")}
        said: list[tuple[str, object]] = [(name, value) for name, value in plain.items() if value != getattr(usual, name)]
        said += [("of", scope) for scope in asked.of]
        levers = {"win_rate": asked.scenario.win_rate, "cycle_days": asked.scenario.cycle_days}
        said += [(name, f"{value:g}") for name, value in levers.items() if value]
        said += [(f"{SPEND}{channel}", f"{factor:g}") for channel, factor in sorted(asked.scenario.spend.items())]
        return f"{path}?{urlencode(said)}" if said else path


def asked(
    request: Request,
    by: Annotated[str | None, Query()] = None,
    of: Annotated[list[str] | None, Query(max_length=MOST_MEMBERS)] = None,
    measure: Annotated[Measure, Query()] = "level",
    freq: Annotated[Length, Query()] = "M",
    years: Annotated[int, Query(ge=1, le=MOST_YEARS)] = 2,
    lead: Annotated[Lead, Query()] = "1",
    win_rate: Annotated[float, Query(gt=-1, lt=1)] = 0.0,
    cycle_days: Annotated[float, Query(gt=-180, lt=180)] = 0.0,
) -> Question:
    """The question of a request; ``by`` follows from ``of`` where it is not said."""
    chosen = tuple(dict.fromkeys(of or ()))
    scenario = Scenario(win_rate=win_rate, cycle_days=cycle_days, spend=_spend(request.query_params.multi_items()))
    by = by or (dimensions_of(chosen[0]) if chosen else "") or c.TOTAL
    return Question(by, chosen, measure, freq, years, lead, scenario)


def _spend(said: Sequence[tuple[str, str]]) -> Mapping[str, float]:
    """By channel, where it is not as it was."""
    found = {}
    for name, text in said:
        if not name.startswith(SPEND):
            continue
        refusal = InvalidRequestError.parameter(name, f"{text!r}: a factor from 0 to 10, such as 1.2 for a fifth more")
        try:
            factor = float(text)
        except ValueError as error:
            raise refusal from error
        if not 0 <= factor <= 10:
            raise refusal
        if factor != 1:
            found[name.removeprefix(SPEND)] = factor
    return found
