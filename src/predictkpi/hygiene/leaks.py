"""Which fields of a flat table of closed deals know the outcome: a table with one row a deal, no dates and no history.

A field that was filled in, or went on counting, until the deal closed makes a model shine in the backtest and fail in use. Without dates
its values alone can give it away. Five tests, each against what chance or an honest field would show; no test looks at a name.

1. *Part of the duration*: never above it, although shuffled rows would be above it often.
2. *Shares of the duration*: fields that add up to one, and do so only where the duration is not zero.
3. *Says too much of the duration*: explains more of its variance than half, or far more than the typical field of this table.
4. *Says too much of the outcome*: some band of values changes the odds of winning by more than facts known at creation do.
5. *Filled in as the deal went on*: whether there is a value goes with the duration.

Effects are measured by their confidence limit, corrected for the number of bands looked at, so that a small table accuses nobody by chance;
and against a size, so that a large table accuses nobody for a trifle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

LEAK, SUSPECT, CLEAN, UNKNOWN = "leak", "suspect", "clean", "unknown"
LEAK_COLUMNS = ["field", "verdict", "evidence"]

FEWEST_ROWS = 200
BANDS, ROWS_A_BAND = 50, 20
"""Bands of a number with many values: at most so many, of so many rows each."""
ALPHA = 0.001
"""Chance of accusing a field that has nothing to do with outcome and duration, over all its bands."""
HUGE_ODDS, VERY_LARGE_ODDS = float(np.exp(2.0 * np.pi / np.sqrt(3))), float(np.exp(1.2 * np.pi / np.sqrt(3)))
"""Odds ratios of 38 and 8.8: standardised differences of 2.0 and 1.2, "huge" and "very large" among effect sizes."""
HALF_OF_VARIANCE = 0.5
MEDIUM_SHARE, LARGE_SHARE = 0.13, 0.26
"""Shares of variance that count as a medium and a large effect of one variable."""
TYPICAL_FIELDS = 5
"""Fields from which on there is such a thing as the typical field."""
OUTLIER = 3.5
"""Robust standard deviations above the typical field."""
FILLED_AUC = 0.528
"""A standardised difference of 0.1 in duration between filled and empty rows: whether a field known at creation is filled has no part in
the deal's duration at all."""
PLACEHOLDERS = frozenset({"", "unknown", "n/a", "na", "not available", "not specified", "unspecified", "undefined", "tbd", "-", "?"})

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Field:
    """One column: its values as numbers (None for text), which rows are filled, and a band number for each row."""

    name: str
    numbers: Floats | None
    filled: Bools
    bands: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Evidence:
    field: str
    verdict: str
    text: str


def probe_leaks(frame: pd.DataFrame, outcome: pd.Series, *, duration: pd.Series | None = None) -> pd.DataFrame:
    """Judge every column of ``frame``, one row a closed deal.

    Parameters: ``outcome`` flags the won deals; ``duration`` is how long each took, in any unit (without it only the outcome is
    compared). Both on the index of ``frame``. Returns columns `LEAK_COLUMNS` in the order of the frame's columns: ``verdict`` is leak,
    suspect (strange, but no proof), clean or unknown (nothing can be said), ``evidence`` all that was found.
    """
    won = outcome.to_numpy(bool)
    days = None if duration is None else duration.to_numpy(float)
    fields, unknown = _fields(frame)
    if len(frame) < FEWEST_ROWS or won.all() or not won.any():
        unknown = dict.fromkeys(
            map(str, frame), f"{len(frame)} deals, {int(won.sum())} won: at least {FEWEST_ROWS} and both outcomes needed"
        )
        fields = []
    found: list[_Evidence] = list(_of_outcome(fields, won))
    if days is not None:
        found += [*_parts(fields, days), *_shares(fields, days), *_of_duration(fields, days), *_filled(fields, days)]
    rows = []
    for name in map(str, frame):
        own = [one for one in found if one.field == name]
        verdict = UNKNOWN if name in unknown else LEAK if any(one.verdict == LEAK for one in own) else SUSPECT if own else CLEAN
        rows.append((name, verdict, unknown.get(name, "; ".join(one.text for one in own))))
    return pd.DataFrame(rows, columns=LEAK_COLUMNS).astype("str")


def _fields(frame: pd.DataFrame) -> tuple[list[_Field], dict[str, str]]:
    fields, unknown = [], {}
    for name in frame:
        values = frame[name]
        if values.dtype.kind == "M":
            values = values.astype("int64").where(values.notna()).astype("float64")
        if values.dtype.kind in "iufb":
            numbers = values.to_numpy(float)
            filled = ~np.isnan(numbers)
        else:
            text = values.astype("str").fillna("").str.strip()
            numbers, filled = None, (~text.str.casefold().isin(PLACEHOLDERS)).to_numpy(bool)
            values = text.where(filled)
        distinct = int(values.nunique(dropna=True))
        if distinct + int(not filled.all()) < 2:
            unknown[str(name)] = "the same in every row"
        elif numbers is None and distinct > len(frame) / 2:
            unknown[str(name)] = "an identifier: most rows have a value of their own"
        else:
            fields.append(_Field(str(name), numbers, filled, _bands(values, distinct)))
    return fields, unknown


def _bands(values: pd.Series, distinct: int) -> npt.NDArray[np.int64]:
    """Values, or quantile bands of them where they are many; rows without a value are a band of their own."""
    bands = min(BANDS, len(values) // ROWS_A_BAND)
    if values.dtype.kind in "iufb" and distinct > bands:
        codes = pd.qcut(values, bands, labels=False, duplicates="drop").fillna(-1).to_numpy()
    else:
        codes = pd.factorize(values)[0]
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _of_outcome(fields: Sequence[_Field], won: Bools) -> Iterator[_Evidence]:
    """The band whose odds of winning, at the cautious end of their confidence interval, differ most from those of all deals."""
    base = won.mean() / (1 - won.mean())
    for field in fields:
        n = np.bincount(field.bands)
        k = np.bincount(field.bands, weights=won)
        alpha = ALPHA / (2 * len(n))
        low = np.where(k > 0, stats.beta.ppf(alpha, np.maximum(k, 1), n - k + 1), 0.0)
        high = np.where(k < n, stats.beta.isf(alpha, k + 1, np.maximum(n - k, 1)), 1.0)
        with np.errstate(divide="ignore"):
            ratio = np.maximum(low / (1 - low) / base, base / (high / (1 - high)))
        worst = int(np.argmax(ratio))
        if ratio[worst] >= VERY_LARGE_ODDS:
            text = (
                f"{k[worst] / n[worst]:.0%} of {n[worst]} deals in one band of values are won, {won.mean():.0%} of all: "
                f"odds that differ {ratio[worst]:.0f}-fold or more"
            )
            yield _Evidence(field.name, LEAK if ratio[worst] >= HUGE_ODDS else SUSPECT, text)


def _parts(fields: Sequence[_Field], days: Floats) -> Iterator[_Evidence]:
    """Numbers that never exceed the duration, though an unrelated number with the same values would in one row of ten."""
    ordered = np.sort(days)
    for field in fields:
        if field.numbers is None or field.filled.sum() < FEWEST_ROWS:
            continue
        values, own = field.numbers[field.filled], days[field.filled]
        by_chance = float(np.mean(np.searchsorted(ordered, values, side="left") / len(ordered)))  # P(duration < value) of another row
        above = float(np.mean(values > own))
        if by_chance >= 0.1 and above <= by_chance / 100:
            correlation = stats.pearsonr(values, own)[0]
            text = f"above the duration in {above:.1%} of rows (by chance {by_chance:.0%}), correlation {correlation:.3f}: a part of it"
            yield _Evidence(field.name, LEAK, text)


def _shares(fields: Sequence[_Field], days: Floats) -> Iterator[_Evidence]:
    """Two to four fields between 0 and 1 that add up to 1 in most rows with a fraction, which shuffled columns seldom do.

    Shares of something known at creation (a mix of products) add up whatever the duration is; shares of the duration cannot be formed
    where it is zero. Where no duration is zero the shares are only suspect.
    """
    shares = [field for field in fields if field.numbers is not None and _is_share(field.numbers)]
    for size in range(min(len(shares), 4), 1, -1):
        for group in combinations(shares, size):
            values = np.column_stack([field.numbers for field in group if field.numbers is not None])
            shuffled = np.column_stack([np.roll(column, (len(column) // (size + 1)) * number) for number, column in enumerate(values.T)])
            whole, by_chance = _whole(values), _whole(shuffled)
            if whole < 0.5 or by_chance > whole / 5:
                continue
            nothing = np.abs(values.sum(axis=1)) < 1e-9
            zero = days == 0
            undefined = bool(zero.any()) and nothing[zero].mean() >= 0.5 and nothing[~zero].mean() <= 0.05
            for field in group:
                others = ", ".join(other.name for other in group if other is not field)
                text = f"adds up to 1 with {others} in {whole:.0%} of the rows that have fractions (by chance {by_chance:.0%})"
                if undefined:
                    text += f", and to 0 in {nothing[zero].mean():.0%} of the rows without duration: a share of the duration"
                yield _Evidence(field.name, LEAK if undefined else SUSPECT, text)
            return


def _is_share(numbers: Floats) -> bool:
    values = numbers[~np.isnan(numbers)]
    return bool(len(values) and values.min() >= 0 and values.max() <= 1 and ((values > 0) & (values < 1)).any())


def _whole(values: Floats) -> float:
    """Share of the rows with a fraction in them whose values add up to 1."""
    fraction = ((values > 0) & (values < 1)).any(axis=1)
    return float(np.mean(np.abs(values[fraction].sum(axis=1) - 1) < 0.01)) if fraction.any() else 0.0


def _of_duration(fields: Sequence[_Field], days: Floats) -> Iterator[_Evidence]:
    """Fields whose bands explain too much of the variance of the log duration."""
    y = np.log1p(np.maximum(days, 0.0))
    explained = {field.name: _explained(field.bands, y) for field in fields}
    typical = float(np.median(list(explained.values()))) if explained else 0.0
    spread = stats.median_abs_deviation(list(explained.values()), scale="normal") if explained else 0.0
    limit = max(MEDIUM_SHARE, typical + OUTLIER * spread) if len(fields) >= TYPICAL_FIELDS else LARGE_SHARE
    for field in fields:
        share = explained[field.name]
        if share < min(limit, HALF_OF_VARIANCE) or not _is_sure(share, field.bands, alpha=ALPHA / len(fields)):
            continue
        text = f"explains {share:.0%} of the variance of log duration, the typical field {typical:.0%}"
        if field.numbers is not None and _is_running_count(field.numbers, days):
            yield _Evidence(field.name, LEAK, f"{text}; a count that rises with every longer duration: counted until the close")
        else:
            yield _Evidence(field.name, LEAK if share >= HALF_OF_VARIANCE else SUSPECT, text)


def _explained(bands: npt.NDArray[np.int64], y: Floats) -> float:
    """Share of variance between bands, adjusted for their number."""
    n = np.bincount(bands)
    within = ((y - (np.bincount(bands, weights=y) / n)[bands]) ** 2).sum()
    total = ((y - y.mean()) ** 2).sum()
    free = len(y) - len(n)
    return max(0.0, 1 - (within / free) / (total / (len(y) - 1))) if total > 0 and free > 0 else 0.0


def _is_sure(share: float, bands: npt.NDArray[np.int64], *, alpha: float) -> bool:
    """F test of an adjusted share of variance against none at all."""
    groups, free = int(bands.max()) + 1, len(bands) - int(bands.max()) - 1
    within = (1 - share) * free / (len(bands) - 1)
    return bool(stats.f.sf((1 - within) / (groups - 1) / (within / free), groups - 1, free) < alpha) if within > 0 else True


def _is_running_count(numbers: Floats, days: Floats) -> bool:
    """Whole numbers from a gapless range whose mean rises from each fifth of the durations to the next."""
    filled = ~np.isnan(numbers)
    values = numbers[filled]
    if values.min() < 0 or (values != np.round(values)).any():
        return False
    usual = np.unique(values[values <= np.quantile(values, 0.99)])
    if len(usual) < 3 or len(usual) < 0.9 * (usual[-1] - usual[0] + 1):
        return False
    fifth = pd.qcut(days[filled], 5, labels=False, duplicates="drop")
    means = pd.Series(values).groupby(fifth).mean()
    return bool(len(means) >= 3 and means.is_monotonic_increasing)


def _filled(fields: Sequence[_Field], days: Floats) -> Iterator[_Evidence]:
    """Fields whose filled rows lasted longer (or shorter) than the empty ones."""
    for field in fields:
        filled, empty = days[field.filled], days[~field.filled]
        if min(len(filled), len(empty)) < FEWEST_ROWS // 2:
            continue
        test = stats.mannwhitneyu(filled, empty)
        auc = float(test.statistic) / (len(filled) * len(empty))
        if max(auc, 1 - auc) >= FILLED_AUC and test.pvalue < ALPHA:
            longer = "longer" if auc > 0.5 else "shorter"
            text = (
                f"filled in {field.filled.mean():.0%} of the rows, and those lasted {longer} ({max(auc, 1 - auc):.0%} of pairs): "
                "filled while the deal went on?"
            )
            yield _Evidence(field.name, SUSPECT, text)
