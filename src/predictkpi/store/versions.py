"""What becomes of rows that are offered to an append-only table. Pure: frames in, frame out.

========= =====================================================================================
accepted  a new key, or new content for a key: becomes a version
unchanged the content that is in force already, or a row that was offered twice
rejected  content that contradicts another row of this load, or would rewrite what is stored
========= =====================================================================================

A row may state when it was known (``known_at`` is filled). If it does not, it was known when it happened, as far as this is the first
load of its table; a new or changed row of a later load was learnt from that load. A new version of a key is always later than the stored
ones, so no stored fact ever changes in an earlier snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema

CONTENT_HASH = "content_hash"
OUTCOME = "outcome"
IS_NEW = "is_new"
ACCEPTED, UNCHANGED, REJECTED = "accepted", "unchanged", "rejected"
OUTCOMES = pd.CategoricalDtype(["", ACCEPTED, UNCHANGED, REJECTED])
"""Of a column of outcomes; the empty one is of rows that are not settled yet."""
RowNames = Callable[[pd.Index], pd.Series]
"""Names rows for a reader: labels in, a text for each out, on these labels."""


@dataclass(frozen=True)
class Learning:
    """When a load learnt what it brings: ``learnt_at`` is the export's instant, ``now`` the load's; both naive local time."""

    learnt_at: pd.Timestamp
    now: pd.Timestamp


def content_hash(frame: pd.DataFrame, schema: TableSchema) -> pd.Series:
    """One ``int64`` a row over the schema's columns, the same in every run; empty text, -0.0 and missing values are normalised."""
    content: dict[str, pd.Series] = {}
    for column in schema.columns:
        values = frame[column.name]
        if column.kind == "string":
            text = values.astype("str").fillna("")
            # Of a category each value is hashed once: much less work, unless it is an id.
            content[column.name] = text.astype("object") if column.name in schema.key else _as_category(text)
        elif column.kind == "number":
            content[column.name] = values.astype("float64") + 0.0
        else:
            content[column.name] = values.astype("datetime64[us]")
    hashes = pd.util.hash_pandas_object(pd.DataFrame(content, index=frame.index, copy=False), index=False, categorize=False)
    return pd.Series(hashes.to_numpy(dtype="uint64").view("int64"), index=frame.index)


def _as_category(text: pd.Series) -> pd.Series:
    """Text as a category whose values are in no order: sorting them is what takes long."""
    codes, values = pd.factorize(text)
    return pd.Series(pd.Categorical.from_codes(codes, values), index=text.index)


def plan_versions(
    schema: TableSchema, offered: pd.DataFrame, stored: pd.DataFrame, *, learning: Learning, origin: RowNames
) -> pd.DataFrame:
    """Decide on each offered row.

    Parameters: ``offered`` has the schema's columns and ``known_at`` (empty: not stated) on a unique index, in the order of its files;
    ``stored`` has key, ``known_at`` and ``content_hash`` of every version there is, oldest first; ``origin`` names each offered row for a
    reader, and is asked only for rows that are contradicted. Returns ``outcome, known_at, content_hash, reason, is_new`` (no version of the
    key is stored) on the index of ``offered``.
    """
    stored, work = _prepare(schema, offered, stored)
    is_first_load = stored.empty
    happened = offered[schema.happened_at] if schema.happened_at and is_first_load else pd.Series(pd.NaT, index=offered.index)
    work["stated"] = offered[c.KNOWN_AT].notna()
    work[c.KNOWN_AT] = offered[c.KNOWN_AT].fillna(happened).fillna(learning.learnt_at).astype("datetime64[us]")
    work[OUTCOME] = pd.Series("", index=work.index, dtype=OUTCOMES)
    work[c.REASON], work[IS_NEW] = pd.Series("", index=work.index, dtype="str"), work["newest_at"].isna()

    is_alone = ~work.duplicated("code", keep=False)
    if not is_alone.all():
        _settle_repeats(work, origin)
    if not is_first_load:
        _settle_against_stored(work, stored, learning)
    _settle_alone(work, is_alone)
    if not is_alone.all():
        _settle_chains(work, origin)
    return work[[OUTCOME, c.KNOWN_AT, CONTENT_HASH, c.REASON, IS_NEW]]


def _prepare(schema: TableSchema, offered: pd.DataFrame, stored: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Number the keys over both frames, hash the content, and find the newest stored version of each key."""
    keys = pd.concat([stored[list(schema.key)], offered[list(schema.key)]], ignore_index=True)
    codes = pd.factorize(keys.iloc[:, 0])[0] if len(schema.key) == 1 else keys.groupby(list(schema.key), sort=False).ngroup().to_numpy()
    stored = stored.assign(code=codes[: len(stored)])
    work = pd.DataFrame({"code": codes[len(stored) :], CONTENT_HASH: content_hash(offered, schema)}, index=offered.index)
    newest = np.full(codes.max(initial=-1) + 1, -1)
    newest[stored["code"]] = stored.index  # of a key that is there more than once the last version stays
    newest = newest[work["code"]]
    work["newest_at"] = stored[c.KNOWN_AT].reindex(newest).to_numpy()
    work["newest_hash"] = stored[CONTENT_HASH].reindex(newest, fill_value=0).to_numpy()
    return stored, work


def _settle(work: pd.DataFrame, rows: pd.Series | pd.Index, outcome: str, reason: pd.Series | str = "") -> None:
    work.loc[rows, OUTCOME] = outcome
    work.loc[rows, c.REASON] = reason


def _settle_repeats(work: pd.DataFrame, origin: RowNames) -> None:
    """Rows that state no ``known_at`` cannot be ordered: of one key the first holds, equal ones repeat it, others contradict it."""
    unstated = work[~work["stated"]]
    later = unstated[unstated.duplicated("code")]
    if later.empty:
        return
    first = unstated.drop_duplicates("code").reset_index(names="label").set_index("code").loc[later["code"]].set_index(later.index)
    is_equal = first[CONTENT_HASH] == later[CONTENT_HASH]
    _settle(work, later.index[is_equal], UNCHANGED)
    _settle(work, later.index[~is_equal], REJECTED, _contradicts(first.loc[~is_equal, "label"], origin))


def _contradicts(other: pd.Series, origin: RowNames) -> pd.Series:
    return "same key as " + origin(pd.Index(other)).set_axis(other.index) + " with other content, and nothing says which holds"


def _settle_against_stored(work: pd.DataFrame, stored: pd.DataFrame, learning: Learning) -> None:
    """Rows of keys whose newest stored version is not earlier than they are."""
    late = work[(work[OUTCOME] == "") & (work["newest_at"] >= work[c.KNOWN_AT])]
    is_newest = late[CONTENT_HASH] == late["newest_hash"]
    _settle(work, late.index[is_newest], UNCHANGED)
    late = late[~is_newest]
    if late.empty:
        return
    is_known = _was_in_force(late, stored)
    _settle(work, late.index[is_known], UNCHANGED)
    late = late[~is_known]

    corrected_at = pd.Series(learning.learnt_at, index=late.index).where(late["newest_at"] < learning.learnt_at, learning.now)
    is_correction = (late["newest_at"] == late[c.KNOWN_AT]) & (late["newest_at"] < corrected_at)
    work.loc[late.index[is_correction], c.KNOWN_AT] = corrected_at[is_correction].astype("datetime64[us]")

    too_late = late[~is_correction]
    since = too_late["newest_at"].dt.strftime("%Y-%m-%d %H:%M:%S")
    _settle(work, too_late.index, REJECTED, "older than the stored version, known since " + since + ": what was known is never rewritten")


def _was_in_force(rows: pd.DataFrame, stored: pd.DataFrame) -> pd.Series:
    """Which rows say what the stored version in force at their ``known_at`` says: that one, or a repetition of it before the next."""
    version = ["code", c.KNOWN_AT, CONTENT_HASH]
    held = stored.loc[stored["code"].isin(rows["code"]), version].sort_values(c.KNOWN_AT, kind="stable", ignore_index=True)
    asked = rows[version].reset_index(names="label").sort_values(c.KNOWN_AT, kind="stable")
    found = pd.merge_asof(asked, held.drop(columns=CONTENT_HASH).reset_index(names="place"), on=c.KNOWN_AT, by="code")
    found = found[found["place"].notna()]
    is_equal = found[CONTENT_HASH].to_numpy() == held[CONTENT_HASH].to_numpy()[found["place"].astype("int64")]
    return pd.Series(is_equal, index=found["label"]).reindex(rows.index, fill_value=False)


def _settle_alone(work: pd.DataFrame, is_alone: pd.Series) -> None:
    """Rows that are the only one of their key: each is a version if it differs from the newest stored one."""
    is_open = is_alone & (work[OUTCOME] == "")
    is_equal = work["newest_at"].notna() & (work[CONTENT_HASH] == work["newest_hash"])
    work.loc[is_open & is_equal, OUTCOME] = UNCHANGED
    work.loc[is_open & ~is_equal, OUTCOME] = ACCEPTED


def _settle_chains(work: pd.DataFrame, origin: RowNames) -> None:
    """The rest, per key in the order in which they were known: a row is a version if it differs from the one before it."""
    rest = work[work[OUTCOME] == ""].reset_index(names="label").sort_values(["code", c.KNOWN_AT, "label"], kind="stable")
    rest = rest.set_index("label")
    at_once = rest[rest.duplicated(["code", c.KNOWN_AT])]
    if len(at_once):
        first = rest.drop_duplicates(["code", c.KNOWN_AT]).reset_index().set_index(["code", c.KNOWN_AT])
        other = first.loc[pd.MultiIndex.from_frame(at_once[["code", c.KNOWN_AT]])].set_axis(at_once.index)
        is_equal = other[CONTENT_HASH] == at_once[CONTENT_HASH]
        _settle(work, at_once.index[is_equal], UNCHANGED)
        _settle(work, at_once.index[~is_equal], REJECTED, _contradicts(other.loc[~is_equal, "label"], origin))
        rest = rest.drop(index=at_once.index)
    is_head = ~rest.duplicated("code")
    before = rest[CONTENT_HASH].shift(fill_value=0).mask(is_head, rest["newest_hash"])
    has_before = ~is_head | rest["newest_at"].notna()
    outcome = np.where(has_before & (before == rest[CONTENT_HASH]), UNCHANGED, ACCEPTED)
    work.loc[rest.index, OUTCOME] = outcome
