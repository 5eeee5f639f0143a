"""Rows of what was erased: taken out of what a feed offers before anything else looks at them, and counted as rejects that name nobody.

Pure, as all of `sources` after `files`: who was erased is told by two functions, since the list holds hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.sources.convert import as_text
from predictkpi.sources.feed import Offer

ERASED = "erased: it names somebody on the list of erasures (docs/privacy.md), so nothing of the row is kept"
KINDS = {c.CUSTOMER_ID: "customer", c.DEAL_ID: "deal", c.ORDER_ID: "order"}
IsErased = Callable[[str, Collection[object]], npt.NDArray[np.bool_]]
"""Kind and values in, a mask out."""


def withhold(offers: Sequence[Offer], is_erased: IsErased) -> dict[str, set[str]]:
    """Take the rows of what was erased out of the offers; returns ids by kind that belong to it and may come again without it."""
    found: dict[str, set[str]] = {"deal": set(), "order": set()}
    out: dict[tuple[str, str | None], pd.Index] = {}
    for offer in sorted(offers, key=lambda offer: offer.feed.table != "deals"):
        rows = offer.frame.index[_names(offer.frame, is_erased, found)]
        for column, kind in (entry for entry in KINDS.items() if entry[1] in found and offer.feed.table_schema.key == (entry[0],)):
            found[kind] |= set(offer.frame.loc[rows, column].dropna().astype(str))
        gone = offer.deletions.index[_names(offer.deletions, is_erased, found)]
        bad = offer.rejects.index[_in_raw(offer, offer.rejects.index, is_erased)]
        _take_out(offer, rows, gone, bad)
        file = (offer.feed.file, offer.feed.sheet)
        out[file] = out.get(file, pd.Index([])).union(rows).union(gone).union(bad)
    for offer in offers:
        rows = out[offer.feed.file, offer.feed.sheet]
        for each in (offer, *([offer.attributes] if offer.attributes else [])):
            each.raw = each.raw.drop(index=each.raw.index.intersection(rows))
    return {kind: ids for kind, ids in found.items() if ids}


def rename(offers: Sequence[Offer], columns: Mapping[str, Sequence[str]], renamed: Callable[[str], str]) -> None:
    """Put pseudonyms in place of erased persons' names in these columns by table."""
    for offer in offers:
        for each in (offer, *([offer.attributes] if offer.attributes else [])):
            for name in columns.get(each.feed.table, ()):
                values = each.frame[name]
                changed = {text: renamed(text) for text in values.dropna().unique()}
                changed = {text: instead for text, instead in changed.items() if text != instead}
                if changed:
                    each.frame = each.frame.assign(**{name: values.where(~values.isin(list(changed)), values.map(changed)).astype("str")})


def _names(frame: pd.DataFrame, is_erased: IsErased, found: Mapping[str, set[str]]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(frame), dtype=bool)
    for column, kind in KINDS.items():
        if column in frame:
            mask |= is_erased(kind, frame[column].tolist()) | frame[column].isin(found.get(kind, ())).to_numpy()
    return mask


def _in_raw(offer: Offer, rows: pd.Index, is_erased: IsErased) -> npt.NDArray[np.bool_]:
    """Rows that could not be converted: by the source's columns of the ids, or by any cell where an id is looked up elsewhere."""
    raw = offer.raw.reindex(rows)
    sources = {column: source for column in KINDS if (source := offer.feed.columns.get(column))}
    is_whole = all(source in raw for source in sources.values())
    cells = [(KINDS[column], source) for column, source in sources.items()]
    if not is_whole or not cells:
        cells = [(kind, str(source)) for source in raw for kind in KINDS.values()]
    mask = np.zeros(len(rows), dtype=bool)
    for kind, source in cells:
        text = as_text(raw[source])
        spelt = offer.feed.values.get(source, {})
        mask |= is_erased(kind, text.map(lambda cell, spelt=spelt: spelt.get(cell, cell), na_action="ignore").tolist())
    return mask


def _take_out(offer: Offer, rows: pd.Index, gone: pd.Index, bad: pd.Index) -> None:
    field = next((source for column in KINDS if (source := offer.feed.columns.get(column))), "")
    rejects = pd.DataFrame({"field": field, "value": "", "reason": ERASED}, index=rows.append(gone))
    kept = offer.rejects[~offer.rejects.index.isin(bad)]
    bare = offer.rejects.loc[offer.rejects.index.isin(bad)].assign(value="", reason=ERASED)
    offer.rejects = pd.concat([kept, bare, rejects])
    offer.frame, offer.deletions = offer.frame.drop(index=rows), offer.deletions.drop(index=gone)
    own = offer.attributes
    if own is not None:  # those of a row that is not taken are not offered, as where the row could not be converted
        own.frame, own.rejects = own.frame[~own.frame.index.isin(rows)], own.rejects[~own.rejects.index.isin(rows)]
        own.rows = len(own.frame) + len(own.rejects)
