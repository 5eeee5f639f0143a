"""What moved since an earlier day: from the forecast of then to that of now, step by step and down to the deal.

    start + new + won + lost + slipped + chances + amounts + model = end

Deals count with what was, or is, expected of them in the period, and a deal won since with what it booked that was not known then and is
still to book. Where a deal had booked before it was won, what was expected of it had come already: it is not taken off in ``won`` again,
the difference counts in ``model``. A reopened deal is a change of chance. ``model`` is all that no single deal explains: repeat business,
business not yet created, and what the replayed trust and the model's paths make of the same deals.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.errors import FutureAccessError, InsufficientDataError
from predictkpi.features.deal_history import TO_EXPECTED
from predictkpi.kpis.deals import OUTCOME, deal_table
from predictkpi.outlook.items import Items, membership
from predictkpi.outlook.outlook import Outlook
from predictkpi.outlook.periods import PeriodOutlook, Periods
from predictkpi.snapshot import Snapshot

NEW, WON, LOST, SLIPPED, CHANCES, AMOUNTS = "new", "won", "lost", "slipped", "chances", "amounts"
STEPS = (NEW, WON, LOST, SLIPPED, CHANCES, AMOUNTS)
MODEL = "model"
MOVE_COLUMNS = [c.DEAL_ID, c.NAME, "step", "before", "after", "change"]


@dataclass(frozen=True)
class Moves:
    """How the expected revenue of one scope and period moved.

    ``steps`` maps `STEPS` and `MODEL` to their part; with ``start`` they add up to ``end``. ``deals``: `MOVE_COLUMNS`, largest change
    first; a deal whose amount changed has a row for that and one for the rest.
    """

    scope: str
    since: pd.Timestamp
    as_of: pd.Timestamp
    start: float
    end: float
    steps: dict[str, float]
    deals: pd.DataFrame


def moves(
    then: Outlook, now: Outlook, *, before: Snapshot, after: Snapshot, scope: str, start: pd.Timestamp, end: pd.Timestamp
) -> Moves | None:
    """From ``then`` (made of ``before``) to ``now`` (made of ``after``), for revenue in ``[start, end)``.

    None where one of the two cannot sum the period. Raises `FutureAccessError` where ``then`` is not the earlier one.
    """
    if then.as_of >= now.as_of:
        raise FutureAccessError(f"what moved runs from an earlier day to {now.as_of:%Y-%m-%d}, not from {then.as_of:%Y-%m-%d}")
    sums = [outlook.sums(scope, start, end) if scope in outlook.answers else None for outlook in (then, now)]
    if sums[0] is None or sums[1] is None:
        return None
    first, last = float(sums[0].mean()), float(sums[1].mean())
    deals = _deal_moves(then, now, before, after, scope, start, end)
    steps = {step: float(deals.loc[deals["step"] == step, "change"].sum()) for step in STEPS}
    steps[MODEL] = last - first - sum(steps.values())
    return Moves(scope, then.as_of, now.as_of, first, last, steps, deals)


def moved_in(periods: Periods, then: Outlook, before: Snapshot, *, scope: str, name: str) -> tuple[PeriodOutlook, Moves]:
    """A named period of the outlook of now, and what moved it since ``then`` (made of ``before``).

    Raises `InsufficientDataError` where the period cannot be summed, or could not be then, `UnknownEntityError` for a scope.
    """
    one = next(iter(periods.of(scope, [name])), None)
    if one is None:
        raise InsufficientDataError(f"{scope}, {name}: the forecast does not reach to its end")
    found = moves(then, periods.outlook, before=before, after=periods.snapshot, scope=scope, start=one.start, end=one.end)
    if found is None:
        raise InsufficientDataError(f"{scope}, {name}: it could not be forecast as of {then.as_of:%Y-%m-%d}")
    return one, found


def _deal_moves(
    then: Outlook, now: Outlook, before: Snapshot, after: Snapshot, scope: str, start: pd.Timestamp, end: pd.Timestamp
) -> pd.DataFrame:
    old, young = _expected(then, scope, start, end), _expected(now, scope, start, end)
    known, outcome = set(before.deals[c.DEAL_ID]), deal_table(after).set_index(c.DEAL_ID)[OUTCOME].dropna()
    came, early = _came(now, before, after, scope, start, end)
    came = came.add(_still_to_come(now, scope, start, end), fill_value=0.0)
    fresh = came.index.intersection(outcome.index).difference(list(known)) if then.book is not None else came.index[:0]
    rows: list[tuple[str, str, float, float]] = []
    # as plain dicts: thousands of deals are open, and a look into a frame for each takes seconds
    then_open, now_open, brought_by, ended = old.to_dict("index"), young.to_dict("index"), came.to_dict(), outcome.to_dict()
    for deal_id in old.index.union(young.index).union(fresh):
        was, now_is = then_open.get(deal_id), now_open.get(deal_id)
        expected = float(was["expected"]) if was else 0.0
        if was and now_is:
            rows += _still_open(deal_id, was, now_is)
        elif now_is:
            rows.append((deal_id, CHANCES if deal_id in known else NEW, expected, float(now_is["expected"])))
        elif ended.get(deal_id) == c.WON:
            brought = float(brought_by.get(deal_id, 0.0))
            rows.append((deal_id, WON, expected, max(brought, expected) if deal_id in early else brought))
        else:  # lost, or no longer there: deleted, or out of the scope
            rows.append((deal_id, LOST, expected, 0.0))
    frame = pd.DataFrame(rows, columns=[c.DEAL_ID, "step", "before", "after"])
    frame["change"] = frame["after"] - frame["before"]
    frame.insert(1, c.NAME, frame[c.DEAL_ID].map(after.deals.set_index(c.DEAL_ID)[c.NAME]))
    frame = frame[frame["change"] != 0]
    return frame.iloc[np.argsort(-frame["change"].abs().to_numpy(), kind="stable")].reset_index(drop=True)[MOVE_COLUMNS]


def _still_open(deal_id: str, was: Mapping[Hashable, float], now_is: Mapping[Hashable, float]) -> list[tuple[str, str, float, float]]:
    """A change of amount at the chance of then, and the rest: slipped where the rep moved the date out."""
    repriced = was["expected"] * now_is["amount"] / was["amount"] if was["amount"] > 0 else was["expected"]
    slipped = pd.notna(was["due"]) and pd.notna(now_is["due"]) and now_is["due"] > was["due"] and now_is["expected"] < repriced
    return [
        (deal_id, AMOUNTS, float(was["expected"]), float(repriced)),
        (deal_id, SLIPPED if slipped else CHANCES, float(repriced), float(now_is["expected"])),
    ]


def _expected(outlook: Outlook, scope: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """By open deal of the scope: revenue expected in the period, amount, and the rep's date in days since 1970."""
    book = outlook.book
    if book is None:
        return pd.DataFrame(columns=["expected", "amount", "due"], dtype=float)
    inside = (outlook.months >= start) & (outlook.months < end)
    expected = (book.by_deal() * outlook.trust.yields(len(outlook.months)))[:, inside].sum(axis=1)
    inputs = book.deals.inputs
    due = (inputs[c.AS_OF] - pd.Timestamp(0)) / pd.Timedelta(days=1) + inputs[TO_EXPECTED]
    frame = pd.DataFrame({"expected": expected, "amount": book.amount, "due": due}).set_axis(inputs[c.ENTITY_ID].to_numpy(), axis=0)
    return frame[book.belongs[outlook.place(scope)] > 0]


def _came(
    now: Outlook, before: Snapshot, after: Snapshot, scope: str, start: pd.Timestamp, end: pd.Timestamp
) -> tuple[pd.Series, set[str]]:
    """Revenue of the period by deal that ``before`` did not know, and the deals that had booked something by then."""
    known, of_now = (_of_deals(snapshot, now, scope) for snapshot in (before, after))
    sums = [rows[(rows[c.DS] >= start) & (rows[c.DS] < end)].groupby(c.DEAL_ID)[c.AMOUNT].sum() for rows in (of_now, known)]
    return sums[0].sub(sums[1], fill_value=0.0), set(known[c.DEAL_ID])


def _of_deals(snapshot: Snapshot, outlook: Outlook, scope: str) -> pd.DataFrame:
    rows = Items.of(snapshot).frame
    rows = rows[rows[c.DEAL_ID].notna()]
    return rows[membership(rows, outlook.scopes)[outlook.place(scope)]]


def _still_to_come(now: Outlook, scope: str, start: pd.Timestamp, end: pd.Timestamp) -> pd.Series:
    """What won deals of the scope are still to book in the period, by deal."""
    if now.book is None:
        return pd.Series(dtype=float)
    owed = now.book.owed[now.book.owing[now.place(scope)] > 0]
    return owed.loc[:, (now.months >= start) & (now.months < end)].sum(axis=1)
