"""TreeSHAP of small trees by reasons, for all periods of a deal at once.

A leaf's shares depend on the row only by which features of its path the row agrees with: a pattern of a few bits. They are worked out once
for every pattern (Yang, Fast TreeSHAP: Accelerating SHAP Value Computation for Trees, 2021), and splits that a deal's periods share are
taken once, as in `forest`. Equal to LightGBM's ``pred_contrib`` but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from predictkpi.core.compiled import compiled
from predictkpi.features.deal_asof import Floats
from predictkpi.predictors.close_time.forest import CLASSES, Forest, Numbers, Text, take_sides

if TYPE_CHECKING:
    from lightgbm import Booster

MOST_FEATURES = 10
"""Different features on the way to one leaf: 2 to the power of it is the size of its table."""


class Shares(NamedTuple):
    """Tables of every leaf, leaves in the order of the trees.

    ``leaf`` ``(5, n_leaves)``: class, first and last step of the way, number of features on it, where its table begins in ``table``
    (patterns by features). ``steps`` ``(3, n_steps)``: node, side taken, bit of its feature; steps by period last. ``shared``: number
    of steps of each leaf before those. ``reason``: of each leaf's features, in the order of their bits, beginning at ``features``.
    """

    leaf: Numbers
    shared: Numbers
    features: Numbers
    steps: Numbers
    reason: Numbers
    table: Floats

    @classmethod
    def of(cls, booster: Booster, forest: Forest, *, shared: int, reasons: Sequence[int]) -> Self | None:
        """``reasons``: the reason, by number, of each feature. None where a leaf has more than `MOST_FEATURES` on its way."""
        text = Text.of(booster)
        leaves, features, tables = [], [], []
        ways: list[tuple[int, int, int]] = []
        reason: list[int] = []
        size = 0
        for tree, leaf, way in _ways(text):
            ratios: dict[int, float] = {}
            for node, _, ratio in way:
                feature = text.nodes[node][3]
                ratios[feature] = ratios.get(feature, 1.0) * ratio
            if len(ratios) > MOST_FEATURES:
                return None
            bit = {feature: place for place, feature in enumerate(ratios)}
            own = {node for node, _, _ in way if text.nodes[node][3] >= shared}
            steps = [(node, side, bit[text.nodes[node][3]]) for node, side, _ in sorted(way, key=lambda step: step[0] in own)]
            leaves.append((tree % CLASSES, len(ways), len(ways) + len(steps), len(ratios), size))
            features.append((len(reason), len(way) - len(own)))
            ways += steps
            reason += [reasons[feature] for feature in ratios]
            tables.append(_table(text.leaves[leaf], np.array(list(ratios.values()))))
            size += tables[-1].size
        numbers = [np.array(rows, np.int32).reshape(-1, width).T.copy() for rows, width in ((leaves, 5), (features, 2), (ways, 3))]
        table = np.concatenate([np.zeros(0), *(each.ravel() for each in tables)])
        return cls(numbers[0], numbers[1][1], numbers[1][0], numbers[2], np.array(reason, np.int32), table)

    def by_reason(self, forest: Forest, shared: Floats, own: Floats, *, n_reasons: int) -> Floats:
        """``(n, n_reasons, n_periods, 3)``; ``shared`` and ``own`` as `Forest.scores` takes them."""
        splits = forest.numeric, forest.limits, forest.coded, forest.bits, forest.by_period, forest.period_limits
        return _by_reason(*self, *splits, forest.children.shape[1], shared, own, n_reasons)


def _ways(text: Text) -> Iterator[tuple[int, int, list[tuple[int, int, float]]]]:
    """Tree, leaf and the way to it: node, side taken (0 left), and the share of the node's training rows that took it."""

    def count(child: int) -> int:
        return text.counts[child] if child >= 0 else text.leaf_counts[~child]

    for tree, root in enumerate(text.roots):
        waiting: list[tuple[int, list[tuple[int, int, float]]]] = [(root, [])]
        while waiting:
            at, way = waiting.pop()
            if at < 0:
                if way:  # a tree without a split has nothing to share out
                    yield tree, ~at, way
                continue
            for side, child in enumerate(text.nodes[at][1:3]):
                waiting.append((child, [*way, (at, side, count(child) / text.counts[at])]))


def _table(value: float, ratios: Floats) -> Floats:
    """Shapley values of a leaf ``(2 ** d, d)`` by pattern of features agreed with: each is worth 1 where it is, its ratio where not."""
    d = len(ratios)
    weights = np.array([math.factorial(k) * math.factorial(d - 1 - k) / math.factorial(d) for k in range(d)])
    return _fill(value, ratios, weights)


@compiled
def _fill(value: float, ratios: Floats, weights: Floats) -> Floats:
    d = len(ratios)
    table = np.empty((1 << d, d))
    terms = np.empty(d)
    for pattern in range(1 << d):
        for feature in range(d):
            terms[:] = 0.0
            terms[0] = 1.0
            size = 1
            for other in range(d):
                if other == feature:
                    continue
                agrees = (pattern >> other) & 1
                for power in range(size, 0, -1):
                    terms[power] = terms[power] * ratios[other] + agrees * terms[power - 1]
                terms[0] *= ratios[other]
                size += 1
            total = 0.0
            for power in range(d):
                total += weights[power] * terms[power]
            table[pattern, feature] = value * total * (((pattern >> feature) & 1) - ratios[feature])
    return table


@compiled
def _by_reason(
    leaf: Numbers,
    shared_steps: Numbers,
    features: Numbers,
    steps: Numbers,
    reason: Numbers,
    table: Floats,
    numeric: Numbers,
    limits: Floats,
    coded: Numbers,
    bits: npt.NDArray[np.uint32],
    by_period: Numbers,
    period_limits: Floats,
    nodes: int,
    shared: Floats,
    own: Floats,
    n_reasons: int,
) -> Floats:
    n, periods = len(shared), own.shape[2]
    found = np.empty((n, n_reasons, periods, CLASSES))
    side, place = np.zeros(nodes, np.uint8), np.zeros(nodes, np.int32)
    sides = np.zeros((by_period.shape[1], periods), np.uint8)
    everywhere, sums, patterns = np.empty((CLASSES, n_reasons)), np.empty((CLASSES, n_reasons, periods)), np.empty(periods, np.int64)
    for at in range(by_period.shape[1]):
        place[by_period[0, at]] = at
    for deal in range(n):
        take_sides(numeric, limits, coded, bits, shared[deal], side)
        for at in range(by_period.shape[1]):
            for period in range(periods):
                x = own[deal, by_period[1, at], period]
                sides[at, period] = not ((x <= period_limits[at]) | ((x != x) & (by_period[2, at] != 0)))
        everywhere[:] = 0.0
        sums[:] = 0.0
        for number in range(leaf.shape[1]):
            cause, first, end, d, start = leaf[0, number], leaf[1, number], leaf[2, number], leaf[3, number], leaf[4, number]
            pattern, by_all = (1 << d) - 1, first + shared_steps[number]
            for step in range(first, by_all):
                if side[steps[0, step]] != steps[1, step]:
                    pattern &= ~(1 << steps[2, step])
            if by_all == end:
                for feature in range(d):
                    everywhere[cause, reason[features[number] + feature]] += table[start + pattern * d + feature]
                continue
            patterns[:] = pattern
            for step in range(by_all, end):
                at, taken, others = place[steps[0, step]], steps[1, step], ~(1 << steps[2, step])
                for period in range(periods):
                    patterns[period] &= others if sides[at, period] != taken else -1
            for feature in range(d):
                which = reason[features[number] + feature]
                for period in range(periods):
                    sums[cause, which, period] += table[start + patterns[period] * d + feature]
        for number in range(n_reasons):
            for period in range(periods):
                for cause in range(CLASSES):
                    found[deal, number, period, cause] = sums[cause, number, period] + everywhere[cause, number]
    return found
