"""What of `close_time.py` is kept as its figures: shares of every peer's Brier score saved, dates, portfolio, the truth, few deals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from figures import Figure, Goal

Row = Mapping[str, object]
OURS, OVERALL, BY_STAGE, CRM = "ours", "overall Aalen-Johansen", "landmark Aalen-Johansen", "CRM: stage rate x mean cycle"
SETS = {"A": "deals then open", "B": "deals created later"}
SAVED_GOALS = {OVERALL: Goal(least=15.0), BY_STAGE: Goal(least=2.5, low_above=0.0)}
NOT_BEHIND = Goal(least=0.0)
DATE_GOALS = {OVERALL: Goal(least=10.0), CRM: Goal(least=20.0)}
_of = partial(Figure, area="Deals")


def headline(part: str, found: object) -> list[Figure]:
    """Of one part, as `close_time.run` returns it; none where it was skipped."""
    if isinstance(found, str):
        return []
    return list({"loan": _loan, "truth": _truth, "maven": _maven, "few": _few}[part](found))  # type: ignore[operator]


def _place(row: Row) -> tuple[str, str]:
    cutoff, name = str(row["cutoff"])[5:], str(row["set"])
    return f"close_time.loan_{cutoff.replace('-', '')}{name.lower()}", f"loan pipeline at {row['cutoff']}, {SETS[name]}"


def _key(model: object) -> str:
    return str(model).lower().replace(" ", "_").replace(":", "").replace("-", "_")


def _limits(row: Row) -> tuple[float, float] | None:
    return (100 * float(str(row["low"])), 100 * float(str(row["high"]))) if "low" in row else None


def _loan(found: Mapping[str, Iterable[Row]]) -> Iterator[Figure]:
    for row in found["scores"]:
        if "saved" in row and row["model"] != CRM:
            key, place = _place(row)
            yield _of(
                name=f"{key}.saved.{_key(row['model'])}",
                what=f"share of the peer's integrated Brier score of won saved, {place}",
                ours=100 * float(str(row["saved"])),
                unit="%",
                digits=1,
                limits=_limits(row),
                peer_name=str(row["model"]),
                better="higher",
                goal=SAVED_GOALS.get(str(row["model"]), NOT_BEHIND),
            )
    for row in found["honesty"]:
        if row["model"] == OURS:
            key, place = _place(row)
            allowed = round(100 * float(str(row["portfolio_allowed"])), 1)
            yield _of(
                name=f"{key}.portfolio",
                what=f"wins within 30 days, predicted over actual less one, {place}",
                ours=100 * float(str(row["portfolio_error"])),
                unit="%",
                digits=1,
                goal=Goal(least=-allowed, most=allowed),
            )
    for row in found["dates"]:
        key, place = _place(row)
        if row["model"] == OURS:
            yield _of(
                name=f"{key}.covers",
                what=f"80 % interval of the close date covers, {place}",
                ours=100 * float(str(row["coverage80"])),
                unit="%",
                digits=1,
                peer=80.0,
                peer_name="promised",
                goal=Goal(least=75.0, most=85.0),
            )
        elif "saved" in row:
            yield _of(
                name=f"{key}.date.{_key(row['model'])}",
                what=f"share of the peer's error of the close date saved, {place}",
                ours=100 * float(str(row["saved"])),
                unit="%",
                digits=1,
                limits=_limits(row),
                peer_name=str(row["model"]),
                better="higher",
                goal=DATE_GOALS[str(row["model"])],
            )


def _truth(rows: Iterable[Row]) -> Iterator[Figure]:
    expected = [float(str(row["expected_ratio"])) for row in rows if row["model"] == OURS]
    yield _of(
        name="close_time.truth",
        what="expected integrated Brier score of won over that of the true distributions, sample companies",
        ours=sum(expected) / len(expected),
        peer=1.0,
        peer_name="the truth",
        better="lower",
        goal=Goal(most=1.02),
    )


def _maven(verdict: Row) -> Iterator[Figure]:
    yield _of(
        name="close_time.maven",
        what="improvement over the base curve on a CRM export without signal, so none is right",
        ours=100 * float(str(verdict["improvement"])),
        unit="%",
        digits=1,
        limits=_limits(verdict),
        peer_name="overall Aalen-Johansen",
    )


def _few(rows: Iterable[Row]) -> Iterator[Figure]:
    """Rows of `few_part.summary`."""
    for row in rows:
        yield _of(
            name=f"close_time.few.{_key(row['source'])}_{row['deals']}",
            what=f"loss beyond the best baseline's, learnt from {row['deals']:,} deals, {row['source']}",
            ours=100 * float(str(row["loss_over_best"])),
            unit="%",
            digits=1,
            peer_name=str(row["best_baseline"]),
            better="lower",
            goal=Goal(most=1.0),
        )
