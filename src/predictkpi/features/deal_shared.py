"""What the deals of a history share at one instant, laid out for single questions: dictionaries by what a CRM calls things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from predictkpi.features.codes import Codes
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.features.deal_buyers import Buyers


class SharedByDeals(NamedTuple):
    """Ranks of stages; edges of owners and sources, and of those without a closed deal; edge and closed deals of customers.

    ``code_of``: number of each customer of a deal for ``buyers``. ``segments``: of the customers there are. ``tallied``: the stages and
    kinds of activity that tallies tell apart.
    """

    ranks: Mapping[str, float]
    by_owner: Mapping[str | None, float]
    by_source: Mapping[str | None, float]
    nobodys_edge: float
    by_buyer: Mapping[str | None, tuple[float, float]]
    new_buyer: tuple[float, float]
    buyers: Buyers
    code_of: Mapping[str | None, int]
    segments: Mapping[str | None, str | None]
    tallied: Mapping[str, frozenset[str]]


def by_value(codes: Codes, of_codes: Callable[[Ints], Floats]) -> tuple[dict[str | None, float], float]:
    """What a question about codes answers, by the value of each code, and for a value never seen."""
    numbers = of_codes(np.arange(-1, len(codes))).tolist()
    return dict(zip(codes.values.tolist(), numbers[1:], strict=True)), numbers[0]
