"""The list of what was erased: salted hashes, by which a row that names it again is known without the list naming anybody."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from predictkpi.predictors.revenue.scopes import entity_id_of, scope_of
from predictkpi.store.audit import user
from predictkpi.store.frames import in_chunks
from predictkpi.store.places import PERSON, SERIES, kind_of
from predictkpi.store.schema import ERASURES


@dataclass(frozen=True)
class Erased:
    """Digests by salt and kind; a store has one salt, unless the list of another one was taken over."""

    digests: Mapping[tuple[str, str], frozenset[str]]

    def __bool__(self) -> bool:
        return bool(self.digests)

    def mask(self, kind: str, values: Collection[object]) -> npt.NDArray[np.bool_]:
        """Which of the values (missing ones are not) name something of that kind that was erased."""
        lists = [(salt, held) for (salt, of), held in self.digests.items() if of == kind]
        if not lists:
            return np.zeros(len(values), dtype=bool)
        codes, uniques = pd.factorize(np.asarray(values, dtype=object))
        hits = np.array([any(digest(salt, kind, str(value)) in held for salt, held in lists) for value in uniques], dtype=bool)
        return np.append(hits, False)[codes]

    def renamed(self, text: str) -> str:
        """The pseudonym in place of an erased person's name, also as a member of a series; any other text as it is."""
        scope = scope_of(text) if "=" in text else {}
        members = {dimension: self.renamed(member) for dimension, member in scope.items()}
        if members != scope:
            return entity_id_of(members)
        for (salt, kind), held in self.digests.items():
            if kind == PERSON and (found := digest(salt, PERSON, text)) in held:
                return pseudonym(PERSON, found)
        return text

    def renamed_within(self, text: str) -> str:
        """The same where words stand around ``dimension=member``, as in ``target owner=Ann Lee 2024-Q1``."""
        head, equals, rest = text.partition("=")
        words = rest.split(" ")
        for end in range(len(words), 0, -1):
            member = " ".join(words[:end])
            if (instead := self.renamed(member)) != member:
                return head + equals + " ".join([instead, *words[end:]])
        return text

    @property
    def has_persons(self) -> bool:
        """Whether any person was erased."""
        return any(kind == PERSON for _, kind in self.digests)

    @property
    def salt(self) -> str:
        """That of the next entry."""
        return next((salt for salt, _ in self.digests), "") or secrets.token_hex(16)


def digest(salt: str, kind: str, name: str) -> str:
    """64 hexadecimal signs."""
    return hashlib.sha256(f"{salt}\x1f{kind}\x1f{name}".encode()).hexdigest()


def pseudonym(kind: str, found: str) -> str:
    """What stands in the place of a name."""
    return f"erased {kind} {found[:12]}"


def read_erased(connection: sa.Connection, among: Mapping[str, Collection[str]] | None = None) -> Erased:
    """The whole list, or what of it concerns these names by kind: whoever asks every second for a few need not read it all."""
    statement = sa.select(ERASURES.c["salt"], ERASURES.c["kind"], ERASURES.c["digest"])
    statements = [statement]
    if among is not None:
        salts = connection.execute(sa.select(ERASURES.c["salt"]).distinct()).scalars().all()
        wanted = sorted(digest(salt, kind, name) for salt in salts for kind, names in among.items() for name in names)
        statements = [statement.where(ERASURES.c["digest"].in_(chunk)) for chunk in in_chunks(wanted)]
    held: dict[tuple[str, str], set[str]] = {}
    for each in statements:
        for salt, kind, found in connection.execute(each):
            held.setdefault((salt, kind), set()).add(found)
    return Erased({key: frozenset(found) for key, found in held.items()})


def of_erased(connection: sa.Connection, named_by: pd.Series, ids: pd.Series) -> npt.NDArray[np.bool_]:
    """Which ids are of what was erased while something was made of them; ``named_by``: see `places.kind_of`, both on one index."""
    if connection.execute(sa.select(ERASURES.c["erasure_id"]).limit(1)).first() is None:
        return np.zeros(len(ids), dtype=bool)
    kinds = named_by.map({name: kind_of(name) for name in named_by.unique()})
    named = {str(kind): set(of_kind) for kind, of_kind in ids.groupby(kinds)}
    members = {member for text in named.pop(SERIES, ()) for member in scope_of(text).values()}
    erased, gone = read_erased(connection, named | {PERSON: members}), np.zeros(len(ids), dtype=bool)
    if erased:
        for kind in kinds.unique():
            own = (kinds == kind).to_numpy()
            gone[own] = [erased.renamed(text) != text for text in ids[own]] if kind == SERIES else erased.mask(kind, ids[own].tolist())
    return gone


def add_erased(
    connection: sa.Connection,
    named: Mapping[str, Iterable[str]],
    *,
    salt: str,
    at: pd.Timestamp,
    actor: str = "",
    counts: str | None = None,
) -> None:
    """Enter these ids by kind, those that are not there yet."""
    known = set(connection.execute(sa.select(ERASURES.c["digest"])).scalars())
    rows = {
        found: {"kind": kind, "digest": found, "salt": salt, "erased_at": at, "actor": actor or user(), "counts": counts}
        for kind, names in named.items()
        for name in names
        if (found := digest(salt, kind, name)) not in known
    }
    if rows:
        connection.execute(sa.insert(ERASURES), list(rows.values()))
