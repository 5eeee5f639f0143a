"""From logs to tables: ids, names, times of the day, when each row became known, and what was first written down wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.synthetic import world as w
from predictkpi.synthetic.accounts import BURN_IN, Accounts
from predictkpi.synthetic.calendar import Calendar
from predictkpi.synthetic.deals import LOST_CODE, NO_DAY, WON_CODE, DealLog
from predictkpi.synthetic.hazards import STAGES
from predictkpi.synthetic.orders import NONE, OrderLog
from predictkpi.synthetic.world import Floats, Ints
from predictkpi.tables import table_schema

ORDER_CORRECTIONS = 0.02
SPEND_CORRECTIONS = 0.015
SEGMENT_CORRECTIONS = 0.03
ACTIVITIES_A_DAY = 1 / 12
"""Of a deal that can still move; once it is dormant, which nobody is told, a tenth of that."""
_ACTIVITY_KINDS = ("email", "call", "meeting")
_ACTIVITY_OUTCOMES = ("", "connected", "no answer")
_STAGE_NAMES = {WON_CODE: c.WON, LOST_CODE: c.LOST}
_FIRST = ("Alder", "Beacon", "Cobalt", "Delta", "Ember", "Fjord", "Garnet", "Harbor", "Iris", "Juniper", "Kestrel", "Lumen", "Meridian")
_SECOND = ("Works", "Foods", "Clinics", "Capital", "Systems", "Logistics", "Textiles", "Optics", "Energy", "Labs", "Partners")
_THIRD = ("", " Group", " GmbH", " Ltd", " Inc", " AG", " Pte")


def customer_ids(accounts: Accounts) -> list[str]:
    """Ids by position."""
    return [f"C{position + 1:05d}" for position in range(len(accounts))]


def deal_ids(deals: DealLog) -> list[str]:
    """Ids by position."""
    return [f"D{position + 1:05d}" for position in range(len(deals))]


def customers_table(accounts: Accounts, calendar: Calendar, rng: np.random.Generator) -> pd.DataFrame:
    """Accounts are created between seven and eight in the morning; a few stood in the wrong segment for months."""
    n = len(accounts)
    created = _instants(calendar, accounts.created, rng.integers(7 * 3600, 8 * 3600, n))
    frame = pd.DataFrame(
        {
            c.CUSTOMER_ID: customer_ids(accounts),
            c.NAME: _company_names(n),
            c.SEGMENT: _names(w.SEGMENTS, accounts.segment),
            c.REGION: _names(w.REGIONS, accounts.region),
            c.INDUSTRY: _names(w.INDUSTRIES, accounts.industry),
            c.CHANNEL: _names(w.CHANNELS, accounts.channel),
            c.CREATED_AT: created,
            c.KNOWN_AT: created + _minutes(rng.integers(1, 30, n)),
        }
    )
    wrong = rng.random(n) < SEGMENT_CORRECTIONS
    other = (accounts.segment + rng.integers(1, len(w.SEGMENTS), n)) % len(w.SEGMENTS)
    first = frame[c.SEGMENT].where(~wrong, pd.Series(_names(w.SEGMENTS, other)))
    return _with_corrections(frame, c.SEGMENT, first, wrong, rng.integers(60, 400, n), rng)


def orders_table(
    accounts: Accounts, deals: DealLog, orders: OrderLog, events: pd.DataFrame, calendar: Calendar, rng: np.random.Generator
) -> pd.DataFrame:
    """Orders are known within a day; some amounts were first written down wrongly and corrected 10 to 60 days later."""
    n = len(orders)
    ds = pd.Series(_instants(calendar, orders.day, rng.integers(8 * 3600, 18 * 3600, n)))
    wins = events[events[c.STAGE] == c.WON].set_index(c.DEAL_ID)[c.DS]
    deal = pd.Series([*deal_ids(deals), None], dtype="str").iloc[orders.deal].reset_index(drop=True)  # NONE is the last
    ds = deal.map(wins).fillna(ds).astype("datetime64[us]")
    late = rng.random(n) < 0.1
    delay = np.where(late, rng.integers(8 * 60, 24 * 60, n), rng.integers(1, 5 * 60, n))
    order_ids = np.array([f"O{position + 1:06d}" for position in range(n)], dtype=object)
    refund_ids = np.array([f"R{position + 1:06d}" for position in range(n)], dtype=object)
    frame = pd.DataFrame(
        {
            c.ORDER_ID: pd.Series(np.where(orders.refund_of == NONE, order_ids, refund_ids[orders.refund_of]), dtype="str"),
            c.DS: ds,
            c.CUSTOMER_ID: pd.Series(np.array(customer_ids(accounts), dtype=object)[orders.account], dtype="str"),
            c.AMOUNT: orders.amount,
            c.CURRENCY: w.CURRENCY,
            c.PRODUCT: _names(w.PRODUCTS, orders.product),
            c.DEAL_ID: deal,
            c.KNOWN_AT: ds + _minutes(delay),
        }
    )
    wrong = (rng.random(n) < ORDER_CORRECTIONS) & (orders.refund_of == NONE)
    first = pd.Series(np.where(wrong, np.round(orders.amount * rng.choice([0.5, 0.8, 0.9, 1.1, 1.2, 1.9], n), 2), orders.amount))
    return _with_corrections(frame, c.AMOUNT, first, wrong, rng.integers(10, 61, n), rng)


def deals_tables(accounts: Accounts, deals: DealLog, calendar: Calendar, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """``(deals, deal_events)``; a deal's first event is its creation."""
    ids = np.array(deal_ids(deals), dtype=object)
    ds = _instants(calendar, deals.event_day, rng.integers(8 * 3600 + 1, 18 * 3600, len(deals.event_day)))
    known = ds + _minutes(rng.integers(1, 31, len(ds)))
    order = np.argsort(ds, kind="stable")
    events = pd.DataFrame(
        {
            c.EVENT_ID: [f"E{position + 1:06d}" for position in range(len(ds))],
            c.DEAL_ID: pd.Series(ids[deals.event_deal[order]], dtype="str"),
            c.DS: ds[order],
            c.STAGE: _names((*STAGES, *_STAGE_NAMES.values()), deals.event_stage[order]),
            c.AMOUNT: deals.event_amount[order],
            c.CURRENCY: w.CURRENCY,
            c.EXPECTED_CLOSE_ON: _instants(calendar, deals.event_close[order], np.zeros(len(ds), dtype=np.int64)),
            c.OWNER: _names(w.OWNERS, deals.event_owner[order]),
            c.KNOWN_AT: known[order],
        }
    )
    first = events.drop_duplicates(c.DEAL_ID).set_index(c.DEAL_ID).loc[ids]
    product = _names(w.PRODUCTS, deals.product)
    company = np.array(_company_names(len(accounts)), dtype=object)[deals.account]
    statics = pd.DataFrame(
        {
            c.DEAL_ID: pd.Series(ids, dtype="str"),
            c.NAME: pd.Series([f"{name}: {line}" for name, line in zip(company, product, strict=True)], dtype="str"),
            c.CUSTOMER_ID: pd.Series(np.array(customer_ids(accounts), dtype=object)[deals.account], dtype="str"),
            c.CREATED_AT: first[c.DS].to_numpy(),
            c.SOURCE: _names(w.SOURCES, deals.source),
            c.PRODUCT: product,
            c.REGION: _names(w.REGIONS, accounts.region[deals.account]),
            c.TEAM: _names(w.TEAMS, deals.team),
            c.KNOWN_AT: first[c.KNOWN_AT].to_numpy(),
        }
    )
    return statics, events


def activities_table(
    accounts: Accounts, deals: DealLog, events: pd.DataFrame, calendar: Calendar, days: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Emails, calls and meetings between the day after a deal's creation and its close, fewer of them once it is dormant."""
    is_close = (deals.event_stage == WON_CODE) | (deals.event_stage == LOST_CODE)
    end = np.full(len(deals), days)
    end[deals.event_deal[is_close]] = deals.event_day[is_close]
    first = deals.created + 1
    asleep = np.clip(np.where(deals.dormant_on == NO_DAY, end, deals.dormant_on), first, np.maximum(first, end))
    parts = []
    for start, until, rate in ((first, asleep, ACTIVITIES_A_DAY), (asleep, end, ACTIVITIES_A_DAY / 10)):
        span = np.maximum(until - start, 0)
        deal = np.repeat(np.arange(len(deals)), rng.poisson(span * rate))
        parts.append((deal, start[deal] + np.floor(rng.random(len(deal)) * span[deal]).astype(np.int64)))
    deal, day = (np.concatenate(part) for part in zip(*parts, strict=True))
    n = len(deal)
    ds = _instants(calendar, day, rng.integers(8 * 3600, 18 * 3600, n))
    kind = rng.choice(len(_ACTIVITY_KINDS), n, p=[0.55, 0.3, 0.15])
    outcome = np.where(kind == 1, rng.choice([1, 2], n), 0)
    frame = pd.DataFrame(
        {
            c.DEAL_ID: pd.Series(np.array(deal_ids(deals), dtype=object)[deal], dtype="str"),
            c.CUSTOMER_ID: pd.Series(np.array(customer_ids(accounts), dtype=object)[deals.account[deal]], dtype="str"),
            c.DS: ds,
            c.KIND: _names(_ACTIVITY_KINDS, kind),
            c.DIRECTION: _names(("outbound", "inbound"), (rng.random(n) < 0.3).astype(np.int64)),
            c.OUTCOME: _names(_ACTIVITY_OUTCOMES, outcome).replace("", None).astype("str"),
            c.KNOWN_AT: ds + _minutes(rng.integers(1, 120, n)),
        }
    ).sort_values([c.DS, c.DEAL_ID], kind="stable", ignore_index=True)
    owners = events[[c.DS, c.DEAL_ID, c.OWNER]].sort_values(c.DS, kind="stable")
    owned = pd.merge_asof(frame, owners, on=c.DS, by=c.DEAL_ID)
    return owned.assign(**{c.ACTIVITY_ID: [f"A{position + 1:06d}" for position in range(n)]})


def spend_table(spend: Floats, sales_cost: Floats, calendar: Calendar, rng: np.random.Generator) -> pd.DataFrame:
    """One row per day and channel, known that night; some days were restated later. ``sales`` pays people and brings in nobody."""
    costs = np.vstack([spend[:, BURN_IN:], sales_cost]).round(2)
    channels, days = costs.shape
    n = costs.size
    ds = pd.Series(_instants(calendar, np.tile(np.arange(days), channels), np.zeros(n, dtype=np.int64)))
    frame = pd.DataFrame(
        {
            c.DS: ds,
            c.CHANNEL: pd.Series(np.repeat(np.array([*w.PAID_CHANNELS, w.SALES_CHANNEL], dtype=object), days), dtype="str"),
            c.COST: costs.ravel(),
            c.CURRENCY: w.CURRENCY,
            c.KNOWN_AT: ds + _minutes(np.full(n, 23 * 60)),
        }
    )
    wrong = (rng.random(n) < SPEND_CORRECTIONS) & (frame[c.CHANNEL] != w.SALES_CHANNEL).to_numpy() & (costs.ravel() > 1.0)
    first = pd.Series(np.where(wrong, np.round(costs.ravel() * rng.uniform(0.7, 1.2, n), 2), costs.ravel()))
    return _with_corrections(frame, c.COST, first, wrong, rng.integers(5, 41, n), rng)


def published(name: str, frame: pd.DataFrame, *, before: pd.Timestamp) -> pd.DataFrame:
    """The versions known before ``before``, in the order they became known, with the schema's columns and dtypes."""
    schema = table_schema(name)
    empty = schema.empty()
    frame = frame[[*schema.column_names, c.KNOWN_AT]].astype(empty.dtypes.to_dict())
    return frame[frame[c.KNOWN_AT] < before].sort_values([c.KNOWN_AT, *schema.key], ignore_index=True)


def _with_corrections(
    frame: pd.DataFrame, column: str, first: pd.Series, wrong: w.Flags, days: Ints, rng: np.random.Generator
) -> pd.DataFrame:
    """The rows as first written down, and the true ones again for those ``wrong``, known that many ``days`` after the fact."""
    wrong = wrong & (first != frame[column]).to_numpy()
    corrected = frame[wrong].copy()
    happened = corrected[c.DS] if c.DS in corrected else corrected[c.CREATED_AT]
    at_night = _minutes(rng.integers(19 * 60, 22 * 60, len(corrected)))
    corrected[c.KNOWN_AT] = happened.dt.normalize() + pd.to_timedelta(days[wrong], unit="D").as_unit("us") + at_night
    return pd.concat([frame.assign(**{column: first}), corrected], ignore_index=True)


def _names(names: Sequence[str], codes: Ints) -> pd.Series:
    return pd.Series(np.array(names, dtype=object)[codes], dtype="str")


def _company_names(n: int) -> list[str]:
    counts = (len(_FIRST), len(_SECOND), len(_THIRD))
    names = []
    for position in range(n):
        turn, place = divmod(position, counts[0] * counts[1] * counts[2])
        name = f"{_FIRST[place % counts[0]]} {_SECOND[place // counts[0] % counts[1]]}{_THIRD[place // (counts[0] * counts[1])]}"
        names.append(name if turn == 0 else f"{name} {turn + 1}")
    return names


def _instants(calendar: Calendar, days: Ints, seconds: Ints) -> pd.DatetimeIndex:
    return (calendar.dates(days) + pd.to_timedelta(seconds, unit="s")).as_unit("us")


def _minutes(minutes: Ints) -> pd.TimedeltaIndex:
    return pd.to_timedelta(minutes, unit="m").as_unit("us")
