"""One figure: ours, whom it stands beside, the goal, by which command it was measured; and how its numbers are written everywhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

AREAS = ("Revenue", "Outlook", "Customer value", "Deals", "Honesty", "Data", "Watching", "Serving", "Pages", "Reliability", "Scale")
"""In this order in the table; areas of other names come after them."""
PROMISED = "promised"
"""The peer of a coverage is what the interval promised: to be near to, not below or above."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What was asked for before it was measured: of our number, or of its ratio to the peer's; limits count as reached.

    ``low_above``: the lower of the figure's limits, too, must be above that.
    """

    most: float | None = None
    least: float | None = None
    of: Literal["ours", "ratio"] = "ours"
    low_above: float | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """``name`` is the figure's for good (``script.part.measure``). ``limits`` are of ``ours``; ``what`` or ``note`` say which.

    Without ``peer``, ``peer_name`` says whom the figure itself compares with: a share of its error saved, a multiple of its time.
    """

    name: str
    area: str
    what: str
    ours: float
    unit: str = ""
    digits: int = 2
    limits: tuple[float, float] | None = None
    peer: float | None = None
    peer_name: str = ""
    better: Literal["lower", "higher", ""] = ""
    goal: Goal | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Plain numbers, also where NumPy's came in: JSON knows no others."""
        object.__setattr__(self, "ours", float(self.ours))
        object.__setattr__(self, "peer", None if self.peer is None else float(self.peer))
        object.__setattr__(self, "limits", None if self.limits is None else tuple(float(each) for each in self.limits))

    @property
    def ratio(self) -> float | None:
        """Ours over the peer's; None where there is no peer's number to divide by."""
        return self.ours / self.peer if self.peer and self.peer_name != PROMISED else None

    @property
    def is_reached(self) -> bool | None:
        """None where there was no goal."""
        if self.goal is None:
            return None
        value = self.ours if self.goal.of == "ours" else self.ratio
        if value is None:
            return None
        value = round(value, self.digits if self.goal.of == "ours" else 2)
        above = self.goal.low_above is None or (self.limits is not None and self.limits[0] > self.goal.low_above)
        return (self.goal.least is None or value >= self.goal.least) and (self.goal.most is None or value <= self.goal.most) and above

    def shown(self, value: float) -> str:
        """A number of this figure as every table, picture and text writes it."""
        text = f"{round(value, self.digits) + 0.0:,.{self.digits}f}"
        return f"{text} {self.unit}" if self.unit else text

    @property
    def ours_shown(self) -> str:
        """With its limits."""
        if self.limits is None:
            return self.shown(self.ours)
        low, high = (f"{round(each, self.digits) + 0.0:,.{self.digits}f}" for each in self.limits)
        return f"{self.shown(self.ours)} ({low} to {high})"

    @property
    def peer_shown(self) -> str:
        """The peer's number and name; the name alone where the figure holds the comparison."""
        return " ".join(part for part in ("" if self.peer is None else self.shown(self.peer), self.peer_name) if part)

    @property
    def ratio_shown(self) -> str:
        """Two digits; none where it is far from 1, for a ratio of twenty is no ratio of 20.14."""
        ratio = self.ratio
        return "" if ratio is None else f"{ratio:,.2f}" if ratio < 10 else f"{ratio:,.0f}"

    @property
    def goal_shown(self) -> str:
        """The goal in words, without whether it was reached."""
        if self.goal is None:
            return ""
        least, most = self.goal.least, self.goal.most
        if least is not None and most is not None:
            text = f"{least:,.10g} to {self._bound(most)}"
        else:
            text = f"at most {self._bound(most)}" if most is not None else f"at least {self._bound(least or 0.0)}"
        text += "" if self.goal.low_above is None else f", lower limit above {self.goal.low_above:g}"
        return f"ratio {text}" if self.goal.of == "ratio" else text

    def _bound(self, bound: float) -> str:
        text = f"{bound:,.10g}"
        return f"{text} {self.unit}" if self.unit and self.goal is not None and self.goal.of == "ours" else text


@dataclass(frozen=True, kw_only=True)
class Record:
    """A figure and where it is from. ``machine``: ``cpu``, ``cores``, ``memory_gb``, as far as they were noted."""

    figure: Figure
    script: str
    command: str
    measured: str
    machine: dict[str, Any]
    quick: bool

    def as_json(self) -> dict[str, Any]:
        """Flat, with what follows from the numbers written out for readers of the file."""
        own = {name: value for name, value in asdict(self).items() if name != "figure"}
        return asdict(self.figure) | {"ratio": self.figure.ratio, "reached": self.figure.is_reached} | own

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> Record:
        """The inverse of `as_json`."""
        known = {each.name: told[each.name] for each in fields(Figure) if each.name in told}
        known["goal"] = Goal(**known["goal"]) if known.get("goal") else None
        return cls(figure=Figure(**known), **{each.name: told[each.name] for each in fields(cls) if each.name != "figure"})
