"""What of `clv.py` is kept as its figures: order, errors and coverage beside BG/NBD + Gamma-Gamma, and the truth of sample companies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from figures import Figure, Goal

Row = Mapping[str, object]
OURS, PEER = "ours", "BG/NBD + Gamma-Gamma"
GINI_GOALS = {
    "CDNOW 39 weeks": 0.724,
    "CDNOW 13 weeks": 0.784,
    "Journey 3 months": 0.864,
    "Journey 6 months": 0.868,
    "grocery 52 weeks": 0.850,
}
GAIN_GOAL, WORST_GAIN, MAE_GOAL, RMSE_GOAL = 0.012, -0.003, -0.02, 0.01
SLOPE_GOAL, COVERAGE_GOAL = (0.95, 1.05), (77.0, 83.0)
_of = partial(Figure, area="Customer value")


def headline(rows: Iterable[Row], summary: Row, of_truth: Iterable[Row], *, reference: str) -> list[Figure]:
    """Figures of every holdout; those over all holdouts where all were run; and slopes against the truth (a row a horizon)."""
    rows = list(rows)
    mine = {str(row["split"]): row for row in rows if row["model"] == OURS}
    figures = [figure for row in rows if row["model"] == reference and "gini" in row for figure in _holdout(mine[str(row["split"])], row)]
    if summary:
        figures += _over_all(summary)
    return figures + [_slope(row) for row in of_truth if row["model"] == OURS]


def _number(row: Row, name: str) -> float:
    return float(str(row[name]))


def _holdout(ours: Row, theirs: Row) -> Iterator[Figure]:
    split = str(ours["split"])
    key = "clv." + split.lower().replace(" ", "_")
    yield _of(
        name=f"{key}.gini",
        what=f"order of customers by value (normalised Gini), {split}",
        ours=_number(ours, "gini"),
        digits=3,
        peer=_number(theirs, "gini"),
        peer_name=PEER,
        better="higher",
        goal=Goal(least=GINI_GOALS[split]) if split in GINI_GOALS else None,
    )
    yield _of(
        name=f"{key}.mae",
        what=f"mean absolute error, change on the peer's, {split}",
        ours=100 * _number(theirs, "mae_change"),
        unit="%",
        digits=1,
        peer_name=PEER,
        better="lower",
    )
    total, of_peer = 100 * _number(ours, "bias"), 100 * _number(theirs, "bias")
    yield _of(
        name=f"{key}.total",
        what=f"total predicted, off by, {split}",
        ours=total,
        unit="%",
        digits=1,
        peer=of_peer,
        peer_name=PEER,
        goal=Goal(least=-round(abs(of_peer), 1), most=round(abs(of_peer), 1)),
    )
    if "coverage80" in ours:
        low, high = COVERAGE_GOAL
        yield _of(
            name=f"{key}.covers",
            what=f"80 % interval of a customer covers (randomised PIT), {split}",
            ours=100 * _number(ours, "coverage80"),
            unit="%",
            digits=0,
            peer=80.0,
            peer_name="promised",
            goal=Goal(least=low, most=high),
        )
    yield from _groups(ours, key)


def _groups(ours: Row, key: str) -> Iterator[Figure]:
    for size in (100, 500):
        if f"groups{size}" in ours:
            yield _of(
                name=f"{key}.covers_groups_{size}",
                what=f"80 % interval of the total of {size} customers covers, {ours['split']}",
                ours=100 * _number(ours, f"groups{size}"),
                unit="%",
                digits=0,
                peer=80.0,
                peer_name="promised",
                goal=Goal(least=75.0),
            )


def _over_all(summary: Row) -> Iterator[Figure]:
    limits = ("mean_gini_gain_low", "mean_gini_gain_high")
    yield _of(
        name="clv.mean_gini_gain",
        what="gain of the normalised Gini, mean of all holdouts",
        ours=_number(summary, "mean_gini_gain"),
        digits=3,
        limits=(_number(summary, limits[0]), _number(summary, limits[1])) if limits[0] in summary else None,
        peer_name=PEER,
        better="higher",
        goal=Goal(least=GAIN_GOAL),
    )
    yield _of(
        name="clv.worst_gini_gain",
        what="gain of the normalised Gini, least of all holdouts",
        ours=_number(summary, "worst_gain"),
        digits=4,
        peer_name=PEER,
        better="higher",
        goal=Goal(least=WORST_GAIN),
    )
    yield _of(
        name="clv.mean_mae_change",
        what="mean absolute error, change on the peer's, mean of all holdouts",
        ours=100 * _number(summary, "mean_mae_change"),
        unit="%",
        digits=1,
        peer_name=PEER,
        better="lower",
        goal=Goal(most=100 * MAE_GOAL),
    )
    yield _of(
        name="clv.worst_rmse_change",
        what="root mean squared error, change on the peer's, worst of all holdouts",
        ours=100 * _number(summary, "worst_rmse_change"),
        unit="%",
        digits=1,
        peer_name=PEER,
        better="lower",
        goal=Goal(most=100 * RMSE_GOAL),
    )


def _slope(row: Row) -> Figure:
    slope, two_se = _number(row, "slope"), _number(row, "slope_2se")
    low, high = SLOPE_GOAL
    return _of(
        name=f"clv.truth.slope_{row['months']}_months",
        what=f"slope of the true expected spend on the predicted, {row['months']} months, sample companies",
        ours=slope,
        digits=3,
        limits=(slope - two_se, slope + two_se),
        peer=1.0,
        peer_name="the truth",
        goal=Goal(least=low, most=high),
        note="in brackets two standard errors over companies",
    )
