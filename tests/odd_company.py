"""Facts as they come now and then, for whoever takes facts apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.snapshot import MemoryFacts, Snapshot
from predictkpi.tables import TABLES


def odd_snapshot(company):
    """The company with records that went with somebody else at first, things of nobody, ties, and a field of a customer without deals."""
    tables = {name: company.snapshot().history(name) for name in TABLES}
    known = company.end - pd.Timedelta(days=100)
    later = known + pd.Timedelta(days=1)  # than any of them is known, rounded up to the day
    for name, key, owner in (
        ("orders", c.ORDER_ID, c.CUSTOMER_ID),
        ("deal_events", c.EVENT_ID, c.DEAL_ID),
        ("activities", c.ACTIVITY_ID, c.DEAL_ID),
    ):
        rows = tables[name]
        moved = rows[rows[c.KNOWN_AT] < known].drop_duplicates(key, keep="last").tail(40)
        moved = moved.assign(**{owner: np.roll(moved[owner].to_numpy(), 7), c.KNOWN_AT: later})
        tables[name] = pd.concat([rows, moved]).sort_values(c.KNOWN_AT, kind="stable", ignore_index=True)
    of_nobody = tables["activities"].tail(3).assign(**{c.ACTIVITY_ID: ["n1", "n2", "n3"], c.DEAL_ID: None, c.KIND: "newsletter"})
    on_one_day = {
        name: tables[name].assign(**{c.KNOWN_AT: tables[name][c.KNOWN_AT].dt.ceil("D")}) for name in ("deal_events", "activities")
    }
    tables["activities"] = pd.concat([on_one_day["activities"], of_nobody], ignore_index=True)
    tables["deal_events"] = on_one_day["deal_events"]
    without_deals = sorted(set(tables["customers"][c.CUSTOMER_ID]) - set(tables["deals"][c.CUSTOMER_ID].dropna()))[:1]
    field = {c.TABLE: "customers", c.ENTITY_ID: without_deals or ["nobody"], c.NAME: "size", c.KIND: "category", c.VALUE: "big"}
    tables["attributes"] = pd.DataFrame(field | {c.KNOWN_AT: known}).astype(TABLES["attributes"].empty().dtypes.to_dict())
    return Snapshot(MemoryFacts(tables, company.company), company.end)
