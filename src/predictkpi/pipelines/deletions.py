"""Rows of a feed that state that a record is gone (``deleted`` in the mapping): what becomes of them, and the statements they make.

========= =============================================================================================================
accepted  the record was there: it is withdrawn, known as any other row is (``known_at``, else from this load on)
unchanged it is gone already, was never there, or the row was offered twice
rejected  another row of this load says that it is there, or it was seen there later: what was known is never rewritten
========= =============================================================================================================

A record that a later row of such a feed shows again is back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import TableSchema
from predictkpi.sources import Offer
from predictkpi.store import Counts, Load
from predictkpi.store.marks import IS_WITHDRAWN
from predictkpi.store.versions import ACCEPTED, OUTCOME, REJECTED, UNCHANGED, Learning
from predictkpi.tables import TABLES

_SAID = [c.VALUE, c.KNOWN_AT]


@dataclass
class Deletions:
    """All that a load states of records that are gone or back: what became of the rows, by number of the feed, and the statements."""

    counts: dict[int, Counts] = field(default_factory=dict)
    withdrawn: int = 0
    _statements: list[tuple[str, str, pd.DataFrame]] = field(default_factory=list)

    def write(self, load: Load) -> None:
        """Append the statements; asked after the tables were written."""
        for table, column, said in self._statements:
            load.state(table, column, said)

    def add(self, schema: TableSchema, said: pd.DataFrame) -> None:
        """Statements (``value, known_at, is_withdrawn``) on records of that table; those on a deal hold for its events."""
        if said.empty:
            return
        key = schema.key[0]
        self._statements.append((schema.name, key, said))
        if schema.name == "deals":
            self._statements.append(("deal_events", key, said))


def settle_deletions(load: Load, offers: list[Offer], alive: Callable[[str], pd.DataFrame], *, until: pd.Timestamp) -> Deletions:
    """Settle every row that states a deletion; rejects go to their offers. ``alive`` gives the rows of a table that say the opposite."""
    found = Deletions()
    for name, schema in TABLES.items():
        telling = {number: offer for number, offer in enumerate(offers) if offer.feed.table == name and offer.feed.deleted}
        if not telling:
            continue
        key = schema.key[0]
        parts = [offer.deletions.assign(feed=number, row=offer.deletions.index) for number, offer in telling.items()]
        said = pd.concat(parts, ignore_index=True).rename(columns={key: c.VALUE})
        shown = alive(name).rename(columns={key: c.VALUE})[_SAID]
        shown = shown.assign(**{c.KNOWN_AT: shown[c.KNOWN_AT].fillna(load.learning.learnt_at)})
        stored = load.statements(name, key)
        versions = load.newest(name, [key, c.KNOWN_AT]).rename(columns={key: c.VALUE})
        said = _settled(said, shown, stored, versions, learning=load.learning, until=until)
        for number, offer in telling.items():
            own = said[said["feed"] == number].set_index("row")
            bad = own[own[OUTCOME] == REJECTED]
            rejects = pd.DataFrame({"field": offer.feed.columns[key], "value": bad[c.VALUE], "reason": bad[c.REASON]}, index=bad.index)
            offer.rejects = pd.concat([offer.rejects, rejects])
            found.counts[number] = Counts.of(own[OUTCOME].drop(bad.index))
        gone = said.loc[said[OUTCOME] == ACCEPTED, _SAID].assign(**{IS_WITHDRAWN: True})
        found.withdrawn += len(gone)
        found.add(schema, pd.concat([gone, _back(shown, pd.concat([stored, gone], ignore_index=True))], ignore_index=True))
    return found


def _settled(
    said: pd.DataFrame, shown: pd.DataFrame, stored: pd.DataFrame, versions: pd.DataFrame, *, learning: Learning, until: pd.Timestamp
) -> pd.DataFrame:
    """``said`` with ``known_at`` filled, and ``outcome, reason``: of the rules below the first that fits."""

    def newest(statements: pd.DataFrame) -> pd.Series:
        by_key = statements.groupby(c.VALUE)[c.KNOWN_AT].max().astype("datetime64[us]")
        return by_key.reindex(said[c.VALUE]).set_axis(said.index)

    gone_at, shown_at = newest(stored[stored[IS_WITHDRAWN]]), newest(shown)
    # Seen there by a version, or by the statement that it was back.
    seen_at = newest(pd.concat([versions, stored.loc[~stored[IS_WITHDRAWN], _SAID]]))
    stated = said[c.KNOWN_AT]
    at = stated.fillna(learning.learnt_at)
    at = at.mask(stated.isna() & (seen_at > at) & (seen_at < learning.now), learning.now).astype("datetime64[us]")
    said = said.assign(**{c.KNOWN_AT: at, OUTCOME: "", c.REASON: ""})

    pairs = pd.MultiIndex.from_frame(said[_SAID])
    is_stored = pairs.isin(pd.MultiIndex.from_frame(stored.loc[stored[IS_WITHDRAWN], _SAID]))
    is_gone = gone_at.notna() & ~(seen_at > gone_at) & ~(shown_at > gone_at)
    was_never = seen_at.isna() & shown_at.isna()
    since = seen_at.dt.strftime("%Y-%m-%d %H:%M:%S")
    for mask, outcome, reason in (
        (pairs.isin(pd.MultiIndex.from_frame(shown)), REJECTED, "another row of this load shows the record, and nothing says which holds"),
        (is_stored | is_gone | was_never | said.duplicated(_SAID), UNCHANGED, ""),
        (stated > until, REJECTED, f"dated in the future: after {until:%Y-%m-%d %H:%M:%S}, when the data were exported or loaded"),
        (seen_at > at, REJECTED, "older than the stored version, known since " + since + ": what was known is never rewritten"),
        (True, ACCEPTED, ""),
    ):
        rows = said.index[(said[OUTCOME] == "") & mask]
        said.loc[rows, OUTCOME] = outcome
        said.loc[rows, c.REASON] = reason[rows] if isinstance(reason, pd.Series) else reason
    return said


def _back(shown: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """A statement that a record is back: for the first row that shows it after each of the ``known`` ones that it is gone."""
    rows = shown.drop_duplicates().sort_values(c.KNOWN_AT, kind="stable")
    known = known.assign(gone_at=known[c.KNOWN_AT]).sort_values(c.KNOWN_AT, kind="stable")
    rows = pd.merge_asof(rows, known, on=c.KNOWN_AT, by=c.VALUE, allow_exact_matches=False)
    back = rows[rows[IS_WITHDRAWN].fillna(False).astype("bool")].drop_duplicates([c.VALUE, "gone_at"])
    return back[_SAID].assign(**{IS_WITHDRAWN: False})
