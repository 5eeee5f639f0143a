"""Deals as nobody should send them, for tests and benchmarks: of all shapes, usual ones with something wrong in them, and plain garbage."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from hypothesis import strategies as st

INSTANTS = [
    "2025-11-20",
    "2025-11-20T10:30:00",
    "2025-11-20T10:30",
    "2025-11-20T10:30:00.25",
    "2025-11-20T10:30:00Z",
    "2025-11-20T10:30:00+05:30",
    "2025-11-20 10:30:00",
    "2025-11-20T24:00:00",
    "2025-11-20T10:30:00.1234567",
    "2025-11-20T10:30:60",
    "2025-02-30",
    "2025-11-20T10:30:00+24:00",
    "1700-01-01",
    "2261-01-01",
    "20251120",
    "٢٠٢٥-11-20",
    " 2025-11-20",
]
HALF = "\ud83d"
"""Half of a surrogate pair: JSON can escape it, UTF-8 cannot hold it."""
texts = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["Lead", "Ann", "", " ", " Lead", "Lead\x1f", "a" * 200, "a" * 201, "\u2003x", "won", HALF, "a\udc00"]),
)
numbers = st.one_of(
    st.integers(-3, 10**16), st.floats(), st.booleans(), st.sampled_from([1e15, 10**400, "3", -0.0, 999999999999999, 5e-324])
)
instants = st.one_of(st.sampled_from(INSTANTS), st.datetimes().map(datetime.isoformat), st.integers(0, 2 * 10**9), st.text(max_size=12))


def maybe(values):
    """Mostly one of these; now and then null, or something of another kind."""
    return st.one_of(values, values, values, st.none(), st.sampled_from([[], {}, True, 7]))


def some(required, optional):
    return st.fixed_dictionaries(required, optional=optional)


events = some({"at": instants, "stage": texts}, {"amount": maybe(numbers), "owner": maybe(texts), "expected_close_on": maybe(instants)})
activities = some({"at": instants, "kind": texts}, {"note": texts})
named = {name: maybe(texts) for name in ("deal_id", "name", "stage", "owner", "source", "product", "region", "team", "customer_id")}
deals = some(
    {},
    named
    | {"created_at": maybe(instants), "expected_close_on": maybe(instants), "amount": maybe(numbers), "unheard_of": st.none()}
    | {"events": maybe(st.lists(events, max_size=3)), "activities": maybe(st.lists(activities, max_size=3))}
    | {"attributes": maybe(st.dictionaries(texts, st.one_of(texts, numbers, st.none(), st.just("x" * 2001)), max_size=4))},
)
PLAIN = some(
    {"stage": st.just("Lead")},
    {"created_at": st.sampled_from(INSTANTS[:6]), "amount": st.floats(0, 1e14), "owner": st.just("Ann")}
    | {"events": st.lists(some({"at": st.sampled_from(INSTANTS[:6]), "stage": st.just("Lead")}, {"amount": st.integers(0, 9)}), max_size=3)}
    | {"attributes": st.dictionaries(st.text("ab", max_size=3), st.one_of(st.booleans(), st.integers(-5, 5), st.just("x"), st.none()))},
)


@st.composite
def spoilt(draw, usual: Sequence[dict]) -> dict:
    """A usual deal in which up to three members are of another kind, or gone, or never heard of."""
    deal = dict(draw(st.sampled_from(usual)))
    for name in draw(st.lists(st.sampled_from([*deal, "unheard_of", "attributes"]), max_size=3)):
        if draw(st.booleans()):
            deal[name] = draw(st.one_of(texts, numbers, instants, st.none(), st.lists(events, max_size=2)))
        else:
            deal.pop(name, None)
    return deal


@st.composite
def cut(draw, whole: st.SearchStrategy[bytes]) -> bytes:
    """A body of which a piece is missing, or has become something else."""
    body = draw(whole)
    start = draw(st.integers(0, len(body)))
    return body[:start] + draw(st.binary(max_size=4)) + body[start + draw(st.integers(0, 5)) :]


def bodies(usual: Sequence[dict]) -> st.SearchStrategy[bytes]:
    """Bodies of requests about a deal; ``usual`` are some that are answered."""
    deal = st.one_of(st.sampled_from(usual), spoilt(usual), spoilt(usual), PLAIN, deals)
    written = deal.map(lambda deal: json.dumps(deal).encode())
    return st.one_of(written, written, written, cut(written), st.binary(max_size=60))
