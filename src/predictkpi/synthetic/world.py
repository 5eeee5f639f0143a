"""What is fixed about the sample company: names, shares and effect sizes. Everything drawn at random lives elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.errors import SettingsError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class RefundLag(NamedTuple):
    """Days between an order and its refund, equally likely from ``first`` to ``last`` inclusive."""

    first: int
    last: int

    def within(self, days: Ints) -> Floats:
        """Probability that a refund that will come has come after that many days."""
        return np.clip((days - self.first + 1) / (self.last - self.first + 1), 0.0, 1.0)


SEGMENTS = ("Enterprise", "Mid-market", "SMB")
REGIONS = ("EMEA", "Americas", "APAC")
INDUSTRIES = ("Manufacturing", "Retail", "Healthcare", "Finance", "Technology")
CHANNELS = ("search", "social", "events", "partner", "organic")
PAID_CHANNELS = CHANNELS[:4]
SALES_CHANNEL = "sales"
PRODUCTS = ("Core", "Plus", "Insights", "Services")
SOURCES = ("inbound", "outbound", "referral", "partner", "event")
TEAMS = ("Strategic", "Growth", "Velocity")
OWNERS = (
    "Amara Okafor", "Bruno Keller", "Chloe Martin", "Dmitri Volkov",
    "Elena Rossi", "Farid Haddad", "Greta Lindholm", "Hiro Tanaka",
    "Ines Carvalho", "Jonas Weber", "Kavya Menon", "Liam Byrne",
)  # fmt: skip
OWNERS_A_TEAM = len(OWNERS) // len(TEAMS)

REGION_SHARES = (0.45, 0.35, 0.20)
INDUSTRY_SHARES = (0.25, 0.22, 0.15, 0.18, 0.20)
SEGMENT_SHARES = np.array([[0.10, 0.30, 0.60], [0.05, 0.25, 0.70], [0.30, 0.45, 0.25], [0.25, 0.45, 0.30], [0.15, 0.35, 0.50]])
CHANNEL_SHARES = np.array([0.28, 0.17, 0.14, 0.16, 0.25])
COST_PER_ACCOUNT = np.array([900.0, 1300.0, 2600.0, 1500.0])
SPEND_GROWTH = 0.12
EXISTING_SHARE = 0.35
PROSPECT_SHARE = 0.20

PURCHASE_RATE = np.array([1.6, 1.0, 0.7])
LIFETIME_YEARS = np.array([4.0, 2.6, 1.6])
ORDER_VALUE = np.array([2400.0, 1300.0, 700.0])
DEAL_RATE = np.array([1.7, 1.0, 0.6])
PRODUCT_SHARES = np.array([[0.30, 0.30, 0.20, 0.20], [0.40, 0.30, 0.20, 0.10], [0.60, 0.25, 0.10, 0.05]])
SOURCE_SHARES = (0.35, 0.25, 0.15, 0.15, 0.10)
TEAM_SHARES = np.array([[0.75, 0.20, 0.05], [0.15, 0.70, 0.15], [0.02, 0.18, 0.80]])
DEAL_REVENUE_SHARE = 0.43
SALES_COST_SHARE = 0.12

ORDER_SIGMA = 0.40
DEAL_SIGMA = 0.55
REFUND_SHARE = 0.03
REFUND_LAG = RefundLag(3, 30)
PRICE_RISE = 0.06
DEMAND_TREND = 0.06
CURRENCY = "EUR"


@dataclass(frozen=True)
class Size:
    """How large the sample company is; counts are expectations, not promises."""

    seed: int
    customers: int
    years: int
    deals: int
    orders: int
    start: pd.Timestamp

    def __post_init__(self) -> None:
        if min(self.customers, self.years, self.deals) < 1:
            raise SettingsError(f"a sample company needs customers, years and deals of at least 1, not {self}")
        if self.start != self.start.normalize() or self.start.day != 1:
            raise SettingsError(f"start must be the first day of a month, not {self.start.isoformat()}")

    @property
    def end(self) -> pd.Timestamp:
        """Midnight after the last day."""
        return self.start + pd.DateOffset(years=self.years)

    @property
    def days(self) -> int:
        """Number of generated days."""
        return (self.end - self.start).days
