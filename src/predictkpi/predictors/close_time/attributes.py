"""Which of a company's own fields the hazard learns from, and why it refuses the others.

A landmark sees a field as it was known then, so what was filled in at the close and stated honestly is missing before. But a source that
holds only present values counts, on its first load, as known when each deal was: a loss reason then looks as old as the deal. So the
value that each deal claims to have had at its first landmark is put to two tests: the probe for leaks (`hygiene.leaks`), and whether
deals that are still open have the field at all, as often as those that have closed.

A field that says nothing does harm: it is the same at all landmarks of a deal, and trees learn deals by heart from it (twenty fields of
noise raised the squared distance from the true chances of sample companies by 40 %). So each must tell deals apart in a test of its own,
by one landmark a deal, with martingale residuals of what was to be expected at its stage and age (Therneau & Grambsch, Modeling
Survival Data, 2000, ch. 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from predictkpi.core import columns as c
from predictkpi.core.arrays import Columns, Texts, array_of
from predictkpi.features.attributes import OF_CUSTOMERS, OF_DEALS
from predictkpi.features.deal_asof import Floats, Ints
from predictkpi.features.deal_history import AGE
from predictkpi.features.deal_outcomes import LOSSES, WINS
from predictkpi.hygiene.leaks import LEAK, probe_leaks
from predictkpi.predictors.close_time.table import DURATION, EVENT, IS_ENTRY, IS_SAMPLED

FEWEST_LANDMARKS, LEAST_SHARE = 30, 0.05
"""A field must be filled in so many of the landmarks that are learnt from, and in this share of them."""
CHANCE = 0.01
"""How often a field that says nothing may pass for one that does."""
BANDS = 5
"""Bands of a number, and of the age of deals, of as many deals each."""
MOST_LEVELS, FEWEST_DEALS_A_LEVEL = 50, 5
"""Values of a category that are kept: the most frequent ones, each of at least so many deals; any other counts as missing."""
OPEN_IS_FILLED = 0.5
"""A field that is filled less than this as often in open deals as in closed ones (surely, at 95 %) is filled when they close."""
PROBED = 5000
"""Newest closed deals that the probe looks at."""
ALWAYS_FILLED = 0.95
"""A field filled in at least this share of the landmarks is missed where it is missing."""


@dataclass(frozen=True)
class Attributes:
    """Columns of a frame of inputs that the hazard uses: ``numbers``, ``categories`` with the values known to it, and why not others.

    ``expected``: those that nearly every deal has.
    """

    numbers: tuple[str, ...] = ()
    categories: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = ()

    @classmethod
    def choose(cls, table: pd.DataFrame, *, most: int) -> Self:
        """From a training table: the ``most`` telling ones of the fields that have support, of which none may know the outcome."""
        names = [str(name) for name in table if str(name).startswith((OF_DEALS, OF_CUSTOMERS))]
        rows = table[table[IS_SAMPLED].to_numpy(bool)]
        levels = {name: _levels(rows[name], rows[c.ENTITY_ID]) for name in names if _is_text(table[name])}
        filled = {name: rows[name].isin(levels[name]) if name in levels else rows[name].notna() for name in names}
        refused = {name: reason for name in names if (reason := _too_thin(rows[name], filled[name], levels.get(name)))}
        by_chance = by_chance_of(rows, {name: levels.get(name) for name in names if name not in refused})
        refused |= {
            name: f"tells no more than a field that says nothing could by chance (p = {p:.2g})"
            for name, p in by_chance.items()
            if p >= CHANCE
        }
        kept = sorted((name for name in names if name not in refused), key=lambda name: by_chance[name])
        refused |= dict.fromkeys(kept[most:], f"{most} fields are more telling")
        refused |= _leaks(table[table[IS_ENTRY].to_numpy(bool)], kept[:most])
        kept = sorted(name for name in kept[:most] if name not in refused)
        return cls(
            numbers=tuple(name for name in kept if name not in levels),
            categories={name: levels[name] for name in kept if name in levels},
            refused={name: refused[name] for name in sorted(refused)},
            expected=tuple(name for name in kept if rows[name].notna().mean() >= ALWAYS_FILLED),
        )

    @property
    def names(self) -> list[str]:
        """The fields that are used, numbers first."""
        return [*self.numbers, *self.categories]

    def columns(self, inputs: Columns) -> list[Floats]:
        """Columns of a matrix, in the order of `names`: numbers, and codes of categories; one that is `absent` is missing."""
        missing = np.full(len(inputs), np.nan)
        absent = set(self.absent(inputs))
        numbers = [missing if name in absent else inputs.floats(name) for name in self.numbers]
        return numbers + [missing if name in absent else codes(inputs[name], known) for name, known in self.places.items()]

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """By category, the code of each value known."""
        return {name: places_of(values) for name, values in self.categories.items()}

    def absent(self, inputs: Columns) -> list[str]:
        """Fields that the inputs do not have, or have in another kind."""
        return [name for name in self.names if name not in inputs or inputs.has_text(name) != (name in self.categories)]

    def to_state(self) -> dict[str, Any]:
        """As JSON; `from_state` reads it."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Inverse of `to_state`."""
        return cls(tuple(state["numbers"]), state["categories"], state["refused"], tuple(state["expected"]))


def places_of(known: Sequence[str]) -> dict[str, int]:
    """The code of each known value."""
    return {value: code for code, value in enumerate(known)}


def codes(values: Texts, places: Mapping[str, int]) -> Floats:
    """Code of each value; NaN for one that has none."""
    return np.fromiter((places.get(value, np.nan) for value in values.tolist()), float, len(values))


def _is_text(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values)


def _levels(values: pd.Series, deals: pd.Series) -> list[str]:
    """The values of enough deals, the most frequent ones, sorted."""
    known = values.notna()
    pairs = pd.DataFrame({"value": values[known], "deal": deals[known]}).drop_duplicates()
    count = pairs["value"].value_counts().reset_index().sort_values(["count", "value"], ascending=[False, True])
    return sorted(count.loc[count["count"] >= FEWEST_DEALS_A_LEVEL, "value"].head(MOST_LEVELS).tolist())


def _too_thin(values: pd.Series, filled: pd.Series, levels: list[str] | None) -> str:
    """Why there is too little to learn from; empty if there is enough."""
    count, share = int(filled.sum()), float(filled.mean()) if len(filled) else 0.0
    if count < FEWEST_LANDMARKS or share < LEAST_SHARE:
        what = "has a value of enough deals" if levels is not None else "is filled"
        return f"{what} in {count} landmarks ({share:.1%}): at least {FEWEST_LANDMARKS} and {LEAST_SHARE:.0%} needed"
    distinct = len(levels) if levels is not None else values.nunique()
    return "the same in every landmark" if distinct == 1 and filled.all() else ""


def by_chance_of(rows: pd.DataFrame, levels: Mapping[str, list[str] | None]) -> dict[str, float]:
    """For each field the probability that values which say nothing of wins or losses would tell deals as far apart as its own do."""
    one = rows.sample(frac=1.0, random_state=0).drop_duplicates(c.ENTITY_ID)
    residuals = [_residuals(one, cause) for cause in (WINS, LOSSES)]
    found = {}
    for name, known in levels.items():
        if known is None:
            bands = pd.qcut(one[name], BANDS, labels=False, duplicates="drop")
        else:
            bands = pd.Series(codes(array_of(one[name]), places_of(known)), index=one.index)
        band = np.unique(bands.fillna(-1.0).to_numpy(float), return_inverse=True)[1]
        found[name] = min(1.0, 2.0 * min(_p_of_bands(values, band) for values in residuals))
    return found


def _residuals(rows: pd.DataFrame, cause: int) -> Floats:
    """Closes by this cause (1 or 0) minus those expected, by the time it was watched, of a deal in its stage and about as old."""
    out = np.zeros(len(rows))
    old = pd.qcut(rows[AGE], BANDS, labels=False, duplicates="drop").fillna(-1).to_numpy()
    for at in pd.DataFrame({"stage": rows[c.STAGE].fillna("").to_numpy(), "old": old}).groupby(["stage", "old"]).indices.values():
        days, happened = rows[DURATION].to_numpy(float)[at], (rows[EVENT] == cause).to_numpy(float)[at]
        times, inverse = np.unique(days, return_inverse=True)
        at_risk = len(at) - np.searchsorted(np.sort(days), times)
        out[at] = happened - np.cumsum(np.bincount(inverse, weights=happened) / at_risk)[inverse]
    return out


def _p_of_bands(values: Floats, band: Ints) -> float:
    """F test of one mean for all bands."""
    count = np.bincount(band)
    groups, free = len(count), len(values) - len(count)
    if groups < 2 or free < 1:
        return 1.0
    means = np.bincount(band, weights=values) / count
    within = float(((values - means[band]) ** 2).sum()) / free
    between = float((count * (means - values.mean()) ** 2).sum()) / (groups - 1)
    return float(stats.f.sf(between / within, groups - 1, free)) if within > 0 else 1.0


def _leaks(first: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """Fields that know the outcome, judged at each deal's first landmark, and how they give themselves away."""
    is_closed = (first[EVENT] > 0).to_numpy(bool)
    found = {name: text for name in names if (text := _closed_only(first[name].notna().to_numpy(bool), is_closed))}
    closed = first[is_closed].sort_values([c.AS_OF, c.ENTITY_ID]).tail(PROBED)
    if names:
        probed = probe_leaks(closed[names], closed[EVENT] == WINS, duration=closed[DURATION])
        leaks = probed[probed["verdict"] == LEAK]
        found |= {str(row["field"]): f"knows the outcome: {row['evidence']}" for _, row in leaks.iterrows()}
    return found


def _closed_only(filled: npt.NDArray[np.bool_], is_closed: npt.NDArray[np.bool_]) -> str:
    """Evidence that a field is filled in closed deals only; empty if there is none."""
    n_open = int((~is_closed).sum())
    if not n_open or is_closed.sum() < FEWEST_LANDMARKS:
        return ""
    of_closed, open_filled = float(filled[is_closed].mean()), int(filled[~is_closed].sum())
    at_most = float(stats.beta.ppf(0.95, open_filled + 1, n_open - open_filled)) if open_filled < n_open else 1.0
    if at_most >= OPEN_IS_FILLED * of_closed:
        return ""
    return f"filled when a deal closes, or no longer kept: there in {of_closed:.0%} of closed and {open_filled / n_open:.0%} of open deals"
