"""The one small interface of every source that is more than a folder of files: batches of raw records, each with where to go on.

A source is asked for everything after its marks and answers in batches. A batch is loaded in one transaction together with its marks, so
an interruption costs at most one batch, and what is read twice is found unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from predictkpi.errors import MappingError, SourceError
from predictkpi.sources.files import RawFile
from predictkpi.sources.mapping import Feed, near
from predictkpi.sources.mapping import Mapping as Rules
from predictkpi.sources.states import LIVE

KNOWN_AT = "known_at"
"""Column that CRM sources add: on the first pass when the record was created, afterwards empty (known from the load that brings it)."""


@dataclass(frozen=True)
class Mark:
    """How far an object has been read.

    ``at`` is the source's own position (an instant, a number, a cursor), empty before the first record. ``is_first`` holds until the object
    has been read to its end once; ``began`` is when that first pass began.
    """

    at: str = ""
    is_first: bool = True
    began: str = ""

    def moved(self, at: str) -> Mark:
        """The same pass, further on."""
        return replace(self, at=at)

    def ended(self, at: str) -> Mark:
        """The pass is over; the next one goes on from there."""
        return Mark(at=at, is_first=False)

    def as_text(self) -> str:
        """For the store."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str | None) -> Mark:
        """Back from the store; without text the beginning."""
        return cls() if text is None else cls(**json.loads(text))


@dataclass(frozen=True)
class Batch:
    """Some records by object, in text or typed columns; the marks that hold once they are loaded; the ids of records that are gone.

    ``first`` names the objects in their first pass: their records count as the first load of their table.
    """

    frames: Mapping[str, pd.DataFrame]
    marks: Mapping[str, Mark]
    deleted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    first: frozenset[str] = frozenset()

    def raw(self, name: str) -> RawFile:
        """The records of an object as `read_feed` wants them: rows numbered from 1."""
        frame = self.frames[name]
        none = pd.DataFrame({"value": [], "reason": []}, dtype="str")
        return RawFile(name, frame.set_axis(pd.RangeIndex(1, len(frame) + 1)), none)

    @property
    def rows(self) -> int:
        """Records of all objects."""
        return sum(len(frame) for frame in self.frames.values())

    def then(self, later: Batch, *, id_column: str | None) -> Batch:
        """Both as one batch: what the later one says of a record holds."""
        frames = dict(self.frames)
        deleted = {name: list(ids) for name, ids in self.deleted.items()}
        for name, frame in later.frames.items():
            frames[name] = pd.concat([frames[name], frame], ignore_index=True) if name in frames else frame
            if id_column is not None and id_column in frame:
                there = set(frame[id_column])
                deleted[name] = [one for one in deleted.get(name, []) if one not in there]
        for name, ids in later.deleted.items():
            deleted[name] = [*deleted.get(name, []), *ids]
        marks = {**self.marks, **later.marks}
        return Batch(frames, marks, {name: tuple(ids) for name, ids in deleted.items()}, self.first | later.first)


class Source(Protocol):
    """What `pipelines.sync` needs of a source. Its ``repr`` shows no secret."""

    id_column: str | None
    """Column of every object that holds the record's id; None where the source cannot tell deletions."""

    def batches(self, marks: Mapping[str, Mark], *, until: pd.Timestamp) -> Iterator[Batch]:
        """Everything changed since the marks and before ``until`` (UTC), objects that others refer to first; raises `SourceError`."""
        ...


class Options(BaseModel):
    """Options of a source in the mapping: strict, and never a secret (only the names of environment variables)."""

    model_config = ConfigDict(frozen=True, extra="forbid")


OptionsOf = TypeVar("OptionsOf", bound=Options)


def read_options(kind: type[OptionsOf], given: Mapping[str, object], *, block: str = "source") -> OptionsOf:
    """The ``source:`` (or other) block without its ``kind``; raises `MappingError` that names the option and what there is."""
    try:
        return kind.model_validate({name: value for name, value in given.items() if name != "kind"})
    except ValidationError as error:
        lines = []
        for found in error.errors():
            where = ".".join(str(part) for part in found["loc"])
            message = str(found["msg"]).removeprefix("Value error, ")
            if found["type"] == "extra_forbidden":
                names = list(kind.model_fields)
                message = f"no such option{near(str(found['loc'][-1]), names)}; there are: {', '.join(names)}"
            lines.append(f"{block}.{where}: {message}")
        raise MappingError("\n".join(lines)) from error


def secret(environment: Mapping[str, str], name: str, *, of: str) -> str:
    """The value of that environment variable; raises `SourceError` that names the variable, never a value."""
    value = environment.get(name, "")
    if not value:
        raise SourceError(f"{of}: set the environment variable {name}; secrets are read from nowhere else")
    return value


def cell(value: object) -> str | None:
    """A value of JSON as text, None where it is empty. Half a character (a cut emoji) is spelt out, for no database takes it."""
    if value is None or value == "":
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def fed_objects(rules: Rules, *, with_deal: Collection[str] = ()) -> list[str]:
    """The objects that the mapping reads, those first that others refer to: rates, customers, deals, their events, what checks these.

    ``with_deal`` are the deals and the object whose records come together with them. Raises `MappingError` where there is no such order.
    """
    order = ["fx_rates", "customers", "orders", "deals", "deal_events"]
    rank: dict[str, int] = {}
    for feed in rules.feeds:
        if feed.join:
            raise MappingError(f"{feed.table} from {feed.file}: join works on files only; join in the source (a query, a related field)")
        place = order.index(feed.table) if feed.table in order else len(order)
        if feed.states == LIVE and feed.file not in with_deal:
            place = len(order) + 1
        rank[feed.file] = min(rank.get(feed.file, place), place)
    for feed in (feed for feed in rules.feeds if feed.states == LIVE):
        # Compared with the deal's last event, so all its events must have come before it, or with it.
        events = {other.file for other in rules.feeds if other.table == feed.table and other.states != LIVE} - {feed.file, *with_deal}
        if feed.file in with_deal and events:
            way_out = f"{' or '.join(set(with_deal) - {feed.file})}, which comes with its deal, can be compared: map that"
        elif feed.file not in with_deal and rank[feed.file] <= len(order):
            way_out = f"{feed.file} feeds other tables, which come first: read it once more under another name (a query of its own)"
        else:
            continue
        raise MappingError(f"{feed.table} from {feed.file}: states: live compares with events that are read later; {way_out}")
    return sorted(rank, key=lambda name: rank[name])


def used_fields(rules: Rules, name: str) -> list[str]:
    """Every field of the object that some feed speaks of."""
    feeds: list[Feed] = [feed for feed in rules.feeds if feed.file == name]
    return sorted({column for feed in feeds for column in feed.used_columns})
