"""What acquisition channels return of their cost, as it is answered."""

from __future__ import annotations

from typing import Any, cast

from predictkpi.core import columns as c
from predictkpi.core.types import Status
from predictkpi.predictors.clv.channels import PAYBACK, RATIOS, VALUES, ChannelReturns, channel_returns
from predictkpi.predictors.clv.spec import MEAN, SPEC
from predictkpi.protocol import worst
from predictkpi.service.customer_schemas import ChannelsValue, ChannelValue, Payback
from predictkpi.service.deal_schemas import Spread
from predictkpi.service.envelopes import model_of, number
from predictkpi.service.view import Champion, View


def returns_of_channels(view: View) -> ChannelsValue:
    """`ChannelsValue` of the view, worked out once; raises what keeps the customers' values from being served."""
    champion = view.champion(SPEC.name)
    found = cast(
        ChannelReturns, view.page("channel-returns", lambda view: channel_returns(champion.predictor, view.snapshot), knows_targets=False)
    )
    *channels, total = [_channel(row, champion) for row in found.table.to_dict("records")]
    return ChannelsValue(
        as_of=view.as_of,
        since=found.since,
        until=found.until,
        lag_days=found.lag,
        currency=view.company.currency,
        model=model_of(champion.ref),
        total=total,
        channels=channels,
    )


def _channel(row: dict[str, Any], champion: Champion) -> ChannelValue:
    def spread(what: str) -> Spread | None:
        parts = {part: number(row[f"{what}_{part}"]) for part in Spread.model_fields}
        return Spread(**cast(dict[str, float], parts)) if parts[MEAN] is not None else None

    floor = Status.BASELINE if champion.ref.kind == "baseline" else Status.FULL
    spreads = {what: spread(what) for what in (*VALUES.values(), *RATIOS.values())}
    payback = {"expected" if part == MEAN else part: number(row[name]) for part, name in PAYBACK.items()}
    plain = {name: number(row[name]) for name in ("realised", c.COST, "cac")}
    return ChannelValue(
        channel=row[c.CHANNEL],
        customers=row["customers"],
        **plain,
        **spreads,
        payback=Payback(**payback) if plain["cac"] is not None else None,
        status=worst(Status(row[c.STATUS]), floor),
        reason=row[c.REASON],
    )
