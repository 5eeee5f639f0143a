"""The clock where the company is: what people do is dated by it, whatever the machine's own clock shows."""

from __future__ import annotations

import pandas as pd

from predictkpi.store import Store


def local_now(store: Store) -> pd.Timestamp:
    """Naive local time of the company; UTC before the first load."""
    company = store.company
    return pd.Timestamp.now(company.time_zone if company else "UTC").tz_localize(None)
