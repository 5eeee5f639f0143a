"""Activities: calls, emails, meetings and the like with a customer or about a deal."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.core.schema import Column, RowCheck, TableSchema


def _belongs_to_nobody(frame: pd.DataFrame) -> pd.Series:
    return (frame[c.DEAL_ID].isna() | (frame[c.DEAL_ID] == "")) & (frame[c.CUSTOMER_ID].isna() | (frame[c.CUSTOMER_ID] == ""))


ACTIVITIES = TableSchema(
    name="activities",
    grain="one row per activity and version, of a deal, a customer or both",
    columns=(
        Column(c.ACTIVITY_ID, "string", "the source's id, or <deal or customer>@<instant>#<number> where it has none", required=True),
        Column(c.DEAL_ID, "string", "the deal it was about; empty if it was about the customer as such"),
        Column(c.CUSTOMER_ID, "string", "whom it was with; empty if only the deal is recorded"),
        Column(c.DS, "instant", "when it took place", required=True),
        Column(c.KIND, "string", "call, email, meeting or any other word of the company", required=True),
        Column(c.OWNER, "string", "who did it"),
        Column(c.DIRECTION, "string", "who began it, such as inbound or outbound"),
        Column(c.OUTCOME, "string", "what came of it, such as connected or no answer"),
    ),
    key=(c.ACTIVITY_ID,),
    happened_at=c.DS,
    checks=(RowCheck(c.DEAL_ID, "belongs to neither a deal nor a customer", _belongs_to_nobody),),
)
