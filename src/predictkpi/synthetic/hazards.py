"""The law of a deal: what may happen to it on one working day, and how likely. Simulation and truth both read it here.

A deal is alive in one of four stages with one owner, or dormant (hidden: nothing happens to it ever again), won or lost. On each day at
most one thing happens; the chance of each is ``BASE[kind, stage] * factors[kind] * pace[kind, day]``.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from predictkpi.synthetic.world import OWNERS_A_TEAM, Floats, Ints

STAGES = ("Qualification", "Discovery", "Proposal", "Negotiation")


class Kind(IntEnum):
    """What may happen to a deal on a day."""

    WON = 0
    LOST = 1
    FORWARD = 2
    BACK = 3
    UPDATE = 4
    HANDOVER = 5
    DORMANT = 6


BASE = np.array(
    [
        [0.0000, 0.0000, 0.0040, 0.0380],
        [0.0160, 0.0130, 0.0120, 0.0150],
        [0.0650, 0.0620, 0.0600, 0.0000],
        [0.0000, 0.0060, 0.0090, 0.0140],
        [0.0300, 0.0300, 0.0400, 0.0500],
        [0.0015, 0.0015, 0.0015, 0.0015],
        [0.0035, 0.0035, 0.0035, 0.0035],
    ]
)
_QUALITY = np.array([1.0, -0.8, 0.6, -0.3, 0.0, 0.0, 0.0])
_PACED = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
_SPEED = np.array([0.75, 1.0, 1.25])
_SEGMENT_QUALITY = np.array([-0.15, 0.05, 0.10])
_SOURCE_QUALITY = np.array([0.10, -0.45, 0.55, 0.20, -0.20])
_AMOUNT_QUALITY = -0.25
SKILL = np.array([0.55, 0.10, -0.15, -0.50, 0.40, 0.05, -0.10, -0.40, 0.60, 0.15, -0.20, -0.55])
_LIMIT = 1.4


def quality(*, segment: Ints, source: Ints, amount_z: Floats, owner: Ints) -> Floats:
    """How good a deal is in its owner's hands: a log effect, bent so that it stays within ±1.4. Arguments broadcast.

    ``amount_z`` is the first amount's place in its customer's distribution of amounts, in standard deviations of its logarithm.
    """
    effect = _SEGMENT_QUALITY[segment] + _SOURCE_QUALITY[source] + _AMOUNT_QUALITY * amount_z + SKILL[owner]
    return _LIMIT * np.tanh(effect / _LIMIT)


def factors(qualities: Floats, segment: Ints) -> Floats:
    """Factors on `BASE`: shape ``(7, *qualities.shape)``; ``segment`` broadcasts against ``qualities``."""
    speed = np.log(_SPEED[segment])
    return np.stack([np.exp(on_quality * qualities + on_pace * speed) for on_quality, on_pace in zip(_QUALITY, _PACED, strict=True)])


def team_owners(team: Ints) -> Ints:
    """Owners of each team: shape ``(*team.shape, OWNERS_A_TEAM)``."""
    return team[..., None] * OWNERS_A_TEAM + np.arange(OWNERS_A_TEAM)


def team_hazards(*, segment: Ints, source: Ints, amount_z: Floats, team: Ints) -> Floats:
    """Hazards of a day of pace 1 for ``n`` deals in the hands of each owner of their team: shape ``(7, n, owners, stages)``."""
    qualities = quality(segment=segment[:, None], source=source[:, None], amount_z=amount_z[:, None], owner=team_owners(team))
    return BASE[:, None, None, :] * factors(qualities, segment[:, None])[..., None]


def advance(alive: Floats, hazards: Floats, pace: Floats) -> tuple[Floats, Floats, Floats]:
    """One day forward. ``alive`` is ``(n, owners, stages)``, ``pace`` is ``(7,)``.

    Returns ``(alive after, won on the day, lost on the day)``; what is missing to 1 went dormant.
    """
    moved = {kind: alive * hazards[kind] * pace[kind] for kind in Kind if kind != Kind.UPDATE}
    after = alive - sum(moved.values())
    after[:, :, 1:] += moved[Kind.FORWARD][:, :, :-1]
    after[:, :, :-1] += moved[Kind.BACK][:, :, 1:]
    given = moved[Kind.HANDOVER]
    after += (given.sum(axis=1, keepdims=True) - given) / (OWNERS_A_TEAM - 1)
    return after, moved[Kind.WON].sum(axis=(1, 2)), moved[Kind.LOST].sum(axis=(1, 2))


def retreat(win: Floats, hazards: Floats, pace: Floats) -> Floats:
    """One day backward: from the chance of a win after the day to that before it, both ``(n, owners, stages)``."""
    rates = hazards * pace[:, None, None, None]
    before = rates[Kind.WON] - win * (rates.sum(axis=0) - rates[Kind.UPDATE])
    before += win
    before[:, :, :-1] += rates[Kind.FORWARD][:, :, :-1] * win[:, :, 1:]
    before[:, :, 1:] += rates[Kind.BACK][:, :, 1:] * win[:, :, :-1]
    others = (win.sum(axis=1, keepdims=True) - win) / (OWNERS_A_TEAM - 1)
    return before + rates[Kind.HANDOVER] * others
