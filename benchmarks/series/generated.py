"""Series of business kind made by chance alone, to learn forecasting from: no real collection has a part in them.

Each is a structural model with parameters of its own: a level that wanders and shifts, a slope that wanders and is damped, a cycle or a
return to the mean, a season of some shape and strength that may change, working days, and noise that is autocorrelated, heavy-tailed or has
outliers; in logarithms or in amounts. Strengths are spread over orders of magnitude, since the learner should meet whatever may come.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Steps run before the series begins, so that its state at the start is one of any time.
_BURN_IN = 24
_MONTHS = 12


def generate(rng: np.random.Generator, count: int, length: int, season: int) -> Floats:
    """At most ``count`` positive series (rows, length) of 12 or 4 periods a year; rows that an additive model led to zero are left out.

    Quarters are sums of three months.
    """
    if season < _MONTHS:
        months = generate(rng, count, length * _MONTHS // season, _MONTHS)
        return months.reshape(len(months), length, -1).sum(axis=2)
    size = (count, 1)
    noise = np.exp(rng.uniform(np.log(0.004), np.log(0.4), size))
    x = _level(rng, count, length, noise) + _cycle(rng, count, length, noise) + _season(rng, count, length, noise)
    x = x + _irregular(rng, count, length, noise) + _working_days(rng, count, length, noise)
    additive = rng.random(size) < 0.4
    y = np.where(additive, 1 + x, np.exp(np.clip(x, -12, 12)))
    kept = (y > 0.03).all(axis=1) | ~additive[:, 0]
    return y[kept] * np.exp(rng.uniform(0, 10, size))[kept]


def _some(rng: np.random.Generator, count: int, share: float, low: float, high: float) -> Floats:
    """(count, 1): spread evenly in logarithms from ``low`` to ``high`` in a ``share`` of the rows, 0 in the others."""
    return np.where(rng.random((count, 1)) < share, np.exp(rng.uniform(np.log(low), np.log(high), (count, 1))), 0.0)


def _shocks(rng: np.random.Generator, count: int, length: int) -> Floats:
    """Noise of variance 1, from normal to heavy-tailed by row."""
    freedom = np.exp(rng.uniform(np.log(3), np.log(60), (count, 1)))
    spread = np.sqrt(np.maximum(freedom - 2, 0.7) / (2 * rng.standard_gamma(np.broadcast_to(freedom / 2, (count, length)))))
    return rng.standard_normal((count, length)) * np.minimum(spread, 8)


def _level(rng: np.random.Generator, count: int, length: int, noise: Floats) -> Floats:
    """Wandering level whose slope wanders about a drift, with shifts of the level and changes of the drift."""
    steps = length + _BURN_IN
    wander = noise * _some(rng, count, 0.85, 0.02, 1.5)
    bend = noise * _some(rng, count, 0.6, 0.004, 0.5)
    damping = np.where(rng.random((count, 1)) < 0.3, rng.uniform(0.3, 0.8, (count, 1)), rng.uniform(0.8, 0.99, (count, 1)))
    drift = _drift(rng, count, noise)
    changed = rng.integers(0, steps, (count, 1)) < np.arange(steps)
    drift = np.where(changed & (rng.random((count, 1)) < 0.3), _drift(rng, count, noise), drift)
    slope_noise, level_noise = bend * _shocks(rng, count, steps), wander * _shocks(rng, count, steps)
    slope = np.zeros((count, steps))
    for t in range(1, steps):
        slope[:, t] = damping[:, 0] * slope[:, t - 1] + slope_noise[:, t]
    shifted = rng.random((count, steps)) < _some(rng, count, 0.2, 0.3, 3) / steps
    shifts = shifted * rng.standard_normal((count, steps)) * noise * np.exp(rng.uniform(0, np.log(8), (count, 1)))
    level = np.cumsum(drift + slope + level_noise + shifts, axis=1)[:, _BURN_IN:]
    return level - level[:, :1]


def _drift(rng: np.random.Generator, count: int, noise: Floats) -> Floats:
    """Growth a period: of a size of its own, or one that the noise nearly hides."""
    own = (0.05 + 0.08 * rng.standard_t(4, (count, 1))) / _MONTHS
    hidden = noise * 0.1 * rng.standard_normal((count, 1))
    kind = rng.random((count, 1))
    return np.clip(np.where(kind < 0.55, own, np.where(kind < 0.8, hidden, 0.0)), -0.05, 0.05)


def _cycle(rng: np.random.Generator, count: int, length: int, noise: Floats) -> Floats:
    """A stochastic cycle of one and a half to nine years, or a return to the mean within months, in part of the series."""
    strength = noise * _some(rng, count, 0.5, 0.2, 5)
    period = np.exp(rng.uniform(np.log(1.5), np.log(9), (count, 1))) * _MONTHS
    kept = rng.uniform(0.9, 0.995, (count, 1))
    straight = rng.random((count, 1)) < 0.5
    turn = np.where(straight, 0.0, 2 * np.pi / period)
    kept = np.where(straight, rng.uniform(0.5, 0.98, (count, 1)), kept)
    state = (rng.standard_normal((count, 1)) + 1j * rng.standard_normal((count, 1)))[:, 0]
    factor, push = (kept * np.exp(1j * turn))[:, 0], np.sqrt(1 - kept**2)[:, 0]
    shocks = _shocks(rng, count, length) + 1j * rng.standard_normal((count, length))
    path = np.empty((count, length))
    for t in range(length):
        state = factor * state + push * shocks[:, t]
        path[:, t] = state.real
    return strength * path


def _season(rng: np.random.Generator, count: int, length: int, noise: Floats) -> Floats:
    """Waves, single peaks or any pattern; constant, or changing slowly or with the years."""
    season = _MONTHS
    k = np.arange(season)
    waves = np.zeros((count, season))
    for order in range(1, season // 2 + 1):
        phase = rng.uniform(0, 2 * np.pi, (count, 1))
        waves += rng.standard_normal((count, 1)) / order**1.2 * np.cos(2 * np.pi * order * k / season + phase)
    any_pattern = rng.standard_normal((count, season))
    peaks = (rng.random((count, season)) < 1.5 / season) * rng.standard_normal((count, season)) * 2
    kind = rng.random((count, 1))
    shape = np.where(kind < 0.4, waves, np.where(kind < 0.6, any_pattern, np.where(kind < 0.75, peaks, waves + peaks)))
    shape = shape - shape.mean(axis=1, keepdims=True)
    shape = shape / np.maximum(shape.std(axis=1, keepdims=True), 0.1)
    strength = np.minimum(noise * _some(rng, count, 0.7, 0.1, 8), 0.6)
    years = length // season + 2
    change = _some(rng, count, 0.5, 0.02, 0.4)
    moves = change[:, :, None] * rng.standard_normal((count, years, season))
    moves[:, 0] = 0
    pattern = shape[:, None, :] + np.cumsum(moves - moves.mean(axis=2, keepdims=True), axis=1)
    start = int(rng.integers(season))
    return strength * pattern.reshape(count, -1)[:, start : start + length]


def _working_days(rng: np.random.Generator, count: int, length: int, noise: Floats) -> Floats:
    """What the weekdays of a month add: their number beyond the usual, each weighted by the row's own week."""
    first = np.datetime64("1970-01") + rng.integers(0, 600)
    months = first + np.arange(length + 1)
    days = np.arange(months[0].astype("datetime64[D]"), months[-1].astype("datetime64[D]"))
    weekday = (days.astype(int) + 3) % 7
    month = (days.astype("datetime64[M]") - first).astype(int)
    number = np.zeros((length, 7))
    np.add.at(number, (month, weekday), 1)
    number -= number.mean(axis=0)
    week = rng.standard_normal((count, 7)) + np.where(np.arange(7) < 5, 1.0, -1.0) * rng.standard_normal((count, 1))
    effect = week @ number.T
    return noise * _some(rng, count, 0.3, 0.2, 2) * effect / np.maximum(effect.std(axis=1, keepdims=True), 1e-9)


def _irregular(rng: np.random.Generator, count: int, length: int, noise: Floats) -> Floats:
    """Noise with some memory, and outliers in a few rows."""
    memory = np.where(rng.random((count, 1)) < 0.5, 0.0, rng.uniform(-0.5, 0.6, (count, 1)))
    shocks = _shocks(rng, count, length)
    outlier = rng.random((count, length)) < _some(rng, count, 0.2, 0.005, 0.05)
    path = np.empty((count, length))
    last = np.zeros(count)
    for t in range(length):
        last = memory[:, 0] * last + shocks[:, t]
        path[:, t] = last
    part = np.where(rng.random((count, 1)) < 0.65, 1.0, np.exp(rng.uniform(np.log(0.02), 0, (count, 1))))
    return noise * part * (path + outlier * rng.standard_normal((count, length)) * 6)
