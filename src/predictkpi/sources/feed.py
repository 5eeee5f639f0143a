"""One feed: the rows of a file, mapped and typed for a table, each still knowing where it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import NUL_IN_TEXT, REQUIRED, Column, Kind, has_nul
from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.attributes import of_entities
from predictkpi.sources.convert import (
    EARLIEST,
    LATEST,
    TOO_LARGE,
    as_flag,
    as_instants,
    as_number,
    as_text,
    out_of_range,
    why_no_number,
)
from predictkpi.sources.files import RawFile
from predictkpi.sources.mapping import ALWAYS, EMPTY, EXPORTED_AT, PRESENT, Conditions, Feed, Join, Mapping, near

_KNOWN_AT = Column(c.KNOWN_AT, "instant", "when the row was known")
FIELDS = ["field", "value", "reason"]
OUT_OF_RANGE = {
    "instant": f"date out of range: not within {EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}",
    "number": f"number out of range: not below {TOO_LARGE:g}",
}
_EXPLAINED, _FAILING = 0.95, 1 / 3
"""Day and month count as swapped if the other order explains that share of a column's cells and more than this share fails as stated."""
OpenFile = Callable[[str, str | None], RawFile]


@dataclass
class Offer:
    """What a feed brings.

    ``frame`` (schema columns and ``known_at``) and ``rejects`` (``field, value, reason``) have the file's row numbers as index.
    ``raw`` holds the file's own rows, before anything was looked up or respelled.
    ``attributes`` are the feed's own fields of the same rows, an offer to the table of attributes: a cell is a row there.
    ``deletions`` (the table's key and ``known_at``) are rows that state that their record is gone.
    ``wrong`` says why the feed as a whole must not be loaded, although some of its rows could be.
    """

    feed: Feed
    rows: int
    not_selected: int
    frame: pd.DataFrame
    rejects: pd.DataFrame
    unselected: pd.Index
    warnings: list[str] = field(default_factory=list)
    wrong: str = ""
    raw: pd.DataFrame = field(default_factory=pd.DataFrame)
    attributes: Offer | None = None
    deletions: pd.DataFrame = field(default_factory=pd.DataFrame)


def read_feed(feed: Feed, mapping: Mapping, open_file: OpenFile, *, time_zone: str, is_whole: bool = True) -> Offer:
    """Rows of the feed's file for its table, in the company's ``time_zone``; raises `SourceError` or `MappingError` if there is no way.

    Unless it ``is_whole``, the file is a part of its object: spellings of the mapping that it does not have are no slip.
    """
    raw = open_file(feed.file, feed.sheet)
    frame, warnings = _joined(feed, _respelled(feed, raw.frame), open_file)
    _check_columns(feed, mapping, raw, frame)
    if is_whole:
        warnings += _unused_spellings(feed, [raw.frame, *(open_file(join.file, join.sheet).frame for join in feed.join)])
    selected = _meeting(feed.when, frame)
    rows = frame[selected]
    bad = raw.bad.assign(field="")[FIELDS]
    offer = Offer(
        feed=feed,
        rows=len(frame) + len(bad),
        not_selected=int((~selected).sum()),
        frame=rows,
        rejects=bad,
        unselected=frame.index[~selected],
        warnings=warnings,
        raw=raw.frame,
    )
    if feed.deleted:
        gone = _meeting(feed.deleted, rows)
        offer.deletions = _deletions(offer, rows[gone], mapping, time_zone)
        rows = rows[~gone]
    offer.frame = _converted(offer, rows, (*feed.table_schema.columns, _KNOWN_AT), mapping, time_zone)
    if feed.attributes:
        offer.attributes = _attributes(offer, rows, time_zone)
    if offer.rows == offer.not_selected:
        offer.warnings.append(f"{feed.file}: no row meets the conditions of `when` for {feed.table}")
    return offer


def _respelled(feed: Feed, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the value maps applied to the columns it has."""
    columns = {}
    for name, spellings in feed.values.items():
        if name in frame:
            text = as_text(frame[name])
            mapped = text.map(spellings)
            text = text.where(mapped.isna(), mapped).astype("str")
            columns[name] = text.mask(text == "")
    return frame.assign(**columns)


def _unused_spellings(feed: Feed, frames: list[pd.DataFrame]) -> list[str]:
    """Warn of keys under ``values`` that no cell of the file (or its look-ups) has: they may be misspelt themselves."""
    warnings = []
    for name, spellings in feed.values.items():
        present = {cell for frame in frames if name in frame for cell in as_text(frame[name]).dropna().unique()}
        unused = [spelling for spelling in spellings if spelling not in present]
        if unused:
            named = ", ".join(f"{spelling!r}{near(spelling, sorted(present))}" for spelling in unused)
            warnings.append(f"{feed.file}: {name}: values names {named}, which the file does not have")
    return warnings


def _joined(feed: Feed, frame: pd.DataFrame, open_file: OpenFile) -> tuple[pd.DataFrame, list[str]]:
    warnings = []
    for join in feed.join:
        looked_up = _lookup(feed, join, open_file)
        for where, have in ((feed.file, frame.columns), (join.file, looked_up.columns)):
            if join.on not in have:
                raise MappingError(_missing(f"{feed.table}: join on {join.on!r}: {where}", [join.on], list(have)))
        both = sorted({str(name) for name in frame} & {str(name) for name in looked_up} - {join.on})
        if both:
            raise MappingError(
                f"{feed.table}: {feed.file} and {join.file} both have the columns {', '.join(both)}; rename one before joining"
            )
        keys = as_text(frame[join.on])
        by_key = looked_up.set_axis(as_text(looked_up[join.on])).drop(columns=join.on)
        missing = keys.notna() & ~keys.isin(by_key.index)
        if missing.any():
            examples = ", ".join(map(repr, keys[missing].unique()[:3]))
            warnings.append(f"{feed.file}: {int(missing.sum())} rows have no match in {join.file} on {join.on}: {examples}")
        added = by_key.reindex(keys).set_axis(frame.index)
        frame = pd.concat([frame, added], axis=1)
    return frame, warnings


def _lookup(feed: Feed, join: Join, open_file: OpenFile) -> pd.DataFrame:
    frame = _respelled(
        feed.model_copy(update={"values": {k: v for k, v in feed.values.items() if k != join.on}}), open_file(join.file, join.sheet).frame
    )
    if join.on not in frame:
        return frame
    keys = as_text(frame[join.on])
    frame, keys = frame[keys.notna()], keys.dropna()
    twice = keys[keys.duplicated(keep=False)]
    if len(twice):
        rows = ", ".join(map(str, twice.index[twice == twice.iloc[0]]))
        raise SourceError(f"{join.file}: {join.on} {twice.iloc[0]!r} is in rows {rows}: a look-up needs one row for each value")
    return frame


def _missing(where: str, missing: list[str], available: list[str]) -> str:
    named = ", ".join(f"{name!r}{near(name, available)}" for name in missing)
    hint = ""
    if len(available) == 1:
        found = next((mark for mark in (";", "\t", "|", ",") if mark in available[0]), None)
        hint = f". The header looks delimited by {found!r}: state delimiter" if found else ""
    return f"{where}: no column {named}; there are: {', '.join(available)}{hint}"


def _check_columns(feed: Feed, mapping: Mapping, raw: RawFile, frame: pd.DataFrame) -> None:
    """Every column that is spoken of exists, and every column of the file is spoken of by some feed."""
    missing = sorted(feed.used_columns - set(frame))
    if missing:
        raise MappingError(_missing(f"{feed.table} from {feed.file}", missing, [str(name) for name in frame]))
    siblings = [other for other in mapping.feeds if (other.file, other.sheet) == (feed.file, feed.sheet)]
    if any(other.ignore == "*" for other in siblings):
        return
    used = {name for other in siblings for name in other.used_columns | set(other.ignore)}
    unused = [name for name in raw.frame if name not in used]
    if unused:
        raise MappingError(
            f"{feed.file}: no feed uses the columns {', '.join(map(repr, unused))}: map them, or list them under ignore "
            f"(of the {feed.table} feed, say)"
        )


def _meeting(conditions: Conditions, frame: pd.DataFrame) -> pd.Series:
    """Which rows meet all the conditions."""
    meets = pd.Series(True, index=frame.index)
    for name, condition in conditions.items():
        text = as_text(frame[name])
        if condition == PRESENT:
            meets &= text.notna()
        elif condition == EMPTY:
            meets &= text.isna()
        else:
            meets &= text.isin(list(condition))
    return meets


def _converted(offer: Offer, rows: pd.DataFrame, columns: tuple[Column, ...], mapping: Mapping, time_zone: str) -> pd.DataFrame:
    """These columns of the table, typed; rows with a cell that cannot be converted become rejects, with the first such cell."""
    feed = offer.feed
    typed: dict[str, pd.Series] = {}
    rejects = [offer.rejects]
    rejected = pd.Series(False, index=rows.index)
    sources = {**feed.columns, c.KNOWN_AT: feed.known_at if feed.known_at not in (ALWAYS, EXPORTED_AT) else None}
    for column in columns:
        source = sources.get(column.name)
        if source is None:
            typed[column.name] = _constant(feed, column, mapping, rows.index)
            continue
        typed[column.name], failed, reason = _within_range(offer, column, rows[source], source, time_zone)
        new = failed & ~rejected
        if new.any():
            rejects.append(pd.DataFrame({"field": source, "value": as_text(rows.loc[new, source]), "reason": reason[new]}))
        rejected |= failed
    offer.rejects = pd.concat(rejects)
    return pd.DataFrame(typed, index=rows.index)[~rejected]


def _deletions(offer: Offer, rows: pd.DataFrame, mapping: Mapping, time_zone: str) -> pd.DataFrame:
    """Of rows that state a deletion only the id counts, and when it was known; the rest may be empty."""
    key = offer.feed.table_schema.column(offer.feed.table_schema.key[0])
    found = _converted(offer, rows, (key, _KNOWN_AT), mapping, time_zone)
    nameless = found.index[found[key.name].isna()]
    rejects = pd.DataFrame({"field": offer.feed.columns.get(key.name, key.name), "value": "", "reason": REQUIRED}, index=nameless)
    offer.rejects = pd.concat([offer.rejects, rejects])
    return found.drop(index=nameless)


def _attributes(offer: Offer, cells: pd.DataFrame, time_zone: str) -> Offer:
    """The attributes of the rows that could be converted; those of the others come with their row, once that is mended."""
    cells = cells.loc[offer.frame.index]
    rejects = offer.rejects[:0]
    found = Offer(
        feed=offer.feed.model_copy(update={"table": "attributes", "deleted": {}}),
        rows=len(cells) * len(offer.feed.attributes),
        not_selected=0,
        frame=cells,
        rejects=rejects,
        unselected=cells.index[:0],
        raw=offer.raw,
    )
    values: dict[str, pd.Series] = {}
    for source, attribute in offer.feed.attributes.items():
        if attribute.kind == "flag":
            typed, failed = as_flag(cells[source])
            reason = pd.Series(_NO_FLAG, index=cells.index, dtype="str")
        else:
            column = Column(attribute.name, _COLUMN_KINDS[attribute.kind], "")
            typed, failed, reason = _within_range(found, column, cells[source], source, time_zone)
        if failed.any():
            bad = pd.DataFrame({"field": source, "value": as_text(cells.loc[failed, source]), "reason": reason[failed]})
            found.rejects = pd.concat([found.rejects, bad])
        values[source] = typed[~failed]
    found.frame = of_entities(offer.feed, offer.frame, values)
    return found


_NO_FLAG = "neither yes nor no (true, false, yes, no, 1, 0; others under values)"
_COLUMN_KINDS: dict[str, Kind] = {"category": "string", "number": "number", "date": "instant"}


def _constant(feed: Feed, column: Column, mapping: Mapping, index: pd.Index) -> pd.Series:
    value = feed.constants.get(column.name)
    if column is _KNOWN_AT and feed.known_at == EXPORTED_AT:
        value = EXPORTED_AT
    where = f"{feed.table} from {feed.file}: {column.name}"
    if column.kind == "string":
        if "\0" in (value or ""):
            raise MappingError(f"{where}: {value!r} {NUL_IN_TEXT}")
        return pd.Series(value, index=index, dtype="str")
    try:
        if column.kind == "number":
            number = pd.Series(float("nan") if value is None else float(value), index=index, dtype="float64")
            if value is not None and not abs(float(value)) < TOO_LARGE:
                raise MappingError(f"{where}: {value!r}: {OUT_OF_RANGE['number']}")
            return number
        if value == EXPORTED_AT and mapping.exported_from is None:
            raise MappingError(f"{where}: exported_at is not stated at the top of the mapping")
        exported = mapping.exported_until if column is _KNOWN_AT else mapping.exported_from
        instant = exported if value == EXPORTED_AT else pd.to_datetime(str(value), format="ISO8601") if value else pd.NaT
    except ValueError as error:
        raise MappingError(f"{where}: {value!r} is no {'number' if column.kind == 'number' else 'ISO date'}") from error
    if not pd.isna(instant) and not EARLIEST <= pd.Timestamp(instant) <= LATEST:
        raise MappingError(f"{where}: {value!r}: {OUT_OF_RANGE['instant']}")
    return pd.Series(instant, index=index, dtype="datetime64[us]")


def _within_range(offer: Offer, column: Column, cells: pd.Series, source: str, time_zone: str) -> tuple[pd.Series, pd.Series, pd.Series]:
    """`_typed`, where a value beyond all reason has failed too."""
    typed, failed, reason = _typed(offer, column, cells, source, time_zone)
    if column.kind not in OUT_OF_RANGE:
        return typed, failed, reason
    wide = out_of_range(typed) & ~failed
    return typed, failed | wide, reason.mask(wide, OUT_OF_RANGE[column.kind])


def _typed(offer: Offer, column: Column, cells: pd.Series, source: str, time_zone: str) -> tuple[pd.Series, pd.Series, pd.Series]:
    """The typed column, the cells that failed, and for each cell why it would."""
    feed = offer.feed
    if column.kind == "string":
        text = as_text(cells)
        return text, has_nul(text), pd.Series(NUL_IN_TEXT, index=cells.index, dtype="str")
    if column.kind == "number":
        numbers, failed = as_number(cells, feed)
        return numbers, failed, why_no_number(cells[failed], feed).reindex(cells.index)
    instants = as_instants(cells, feed.dates, column=source, time_zone=time_zone)
    form = feed.dates.format_of(source)
    if form is None and instants.failed.any():
        raise MappingError(f"{feed.table} from {feed.file}: {source!r} holds dates as text: state dates.format, such as %Y-%m-%d")
    reason = f"not a date of the format {form}"
    if instants.swapped is not None:
        other, parsing, there = instants.swapped
        other = f"{other}: are day and month swapped?"
        reason = f"{reason}; most such values would parse as {other}"
        failing = int(instants.failed.sum())
        hint = f"{feed.file}: {source}: {failing} of {there} values do not parse as {form}, {parsing} would parse as {other}"
        offer.warnings.append(hint)
        # The rest would be loaded with days and months changed over, and nobody would notice.
        if parsing >= _EXPLAINED * there and failing > _FAILING * there:
            offer.wrong = hint
    return instants.values, instants.failed, pd.Series(reason, index=cells.index, dtype="str")
