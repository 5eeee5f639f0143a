"""Discrete-time competing risks by gradient boosting: in each period a deal stays open, is won or is lost.

A multiclass LightGBM over person-period rows (Tutz & Schmid, Modeling Discrete Time-to-Event Data, 2016, ch. 8): its three
probabilities are the hazards of a period, and their product along the periods is the cumulative incidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predictkpi.features.deal_asof import Floats
from predictkpi.features.deal_history import CATEGORIES, NUMBERS
from predictkpi.predictors.close_time.attributes import Attributes, codes
from predictkpi.predictors.close_time.periods import (
    ENDS,
    PERIOD_FEATURES,
    STARTS,
    at_risk,
    calendar_for,
    landmark_days,
    period_features,
    spread,
)
from predictkpi.predictors.close_time.table import IS_SAMPLED

if TYPE_CHECKING:
    from lightgbm import Booster

ROWS_AT_ONCE = 10_000
SUPPORT = 30
"""Landmarks that must have been watched to a period's end for its hazard to be learnt; later periods keep the last one's pace."""

QUARTER_FEATURES = [PERIOD_FEATURES.index("days_to_quarter_end"), PERIOD_FEATURES.index("rush_share")]
"""Held constant, so that no tree can use them, until a whole year was watched: of two or three quarter ends nobody can tell a habit from
two or three odd months, and all deals open then share the same luck."""
DAYS_OF_A_YEAR = 365


@dataclass(frozen=True)
class Boosting:
    """Settings of the hazard; see models/close_time.yaml."""

    rounds: int
    learning_rate: float
    leaves: int
    min_rows: int
    feature_fraction: float
    bagging_fraction: float
    l2: float
    negatives: float
    seed: int

    def lightgbm(self) -> dict[str, Any]:
        """As LightGBM's parameters: one thread, deterministic."""
        return {
            "objective": "multiclass",
            "num_class": 3,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "cat_smooth": 50.0,
            "cat_l2": 20.0,
            "max_bin": 127,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "seed": self.seed,
            "verbosity": -1,
        }


def has_seen_a_year(landmarks: pd.DataFrame) -> bool:
    """Whether the landmarks span the four ends of a fiscal quarter that make up a year."""
    days = landmark_days(landmarks)
    return len(days) > 0 and int(days.max() - days.min()) >= DAYS_OF_A_YEAR


class Hazard:
    """A fitted hazard: a LightGBM booster, its categories, the last period that was watched, and the company's own fields it uses."""

    def __init__(self, booster: Booster, categories: dict[str, list[str]], last_period: int, attributes: Attributes) -> None:
        self.booster, self.categories, self.last_period, self.attributes = booster, categories, last_period, attributes

    @property
    def feature_names(self) -> list[str]:
        """What each column of the booster is; own fields go by number in its text, since LightGBM forbids some signs in names."""
        return [*NUMBERS, *CATEGORIES, *self.attributes.names, *PERIOD_FEATURES]

    @classmethod
    def fit(cls, table: pd.DataFrame, settings: Boosting, attributes: Attributes) -> Hazard:
        """Learn from the sampled landmarks of a training table."""
        import lightgbm as lgb

        rows = table[table[IS_SAMPLED].to_numpy(bool)].reset_index(drop=True)
        categories = {name: sorted(rows[name].dropna().unique().tolist()) for name in CATEGORIES}
        row, period, outcome = at_risk(rows)
        watched = np.bincount(period, minlength=len(ENDS))
        last_period = int(np.max(np.flatnonzero(watched >= SUPPORT), initial=0))
        rng = np.random.default_rng(settings.seed)
        kept = (outcome > 0) | (rng.random(len(row)) < settings.negatives)
        row, period, outcome = row[kept], period[kept], outcome[kept]
        weight = np.where(outcome > 0, 1.0, 1.0 / settings.negatives)
        calendar = period_features(rows, row, period, calendar_for(rows))
        if not has_seen_a_year(rows):
            calendar[:, QUARTER_FEATURES] = 0.0
        matrix = np.column_stack([_landmark_matrix(rows, categories, attributes)[row], calendar])
        own = {name: f"attribute_{number}" for number, name in enumerate(attributes.names)}
        data = lgb.Dataset(
            matrix,
            label=outcome,
            weight=weight,
            feature_name=[*NUMBERS, *CATEGORIES, *own.values(), *PERIOD_FEATURES],
            categorical_feature=[*CATEGORIES, *(own[name] for name in attributes.categories)],
            params={"num_threads": 1, "verbosity": -1, "max_bin": 127},
            free_raw_data=True,
        )
        return cls(lgb.train(settings.lightgbm(), data, num_boost_round=settings.rounds), categories, last_period, attributes)

    def daily(self, inputs: pd.DataFrame) -> Floats:
        """Daily cumulative incidences ``(n, 2, LAST_DAY + 1)``."""
        parts = [
            spread(part, self._incidence(part))
            for part in (inputs.iloc[low : low + ROWS_AT_ONCE] for low in range(0, max(len(inputs), 1), ROWS_AT_ONCE))
        ]
        return np.concatenate(parts)

    def _incidence(self, inputs: pd.DataFrame) -> Floats:
        """Cumulative incidences at the period ends: ``(n, 2, n_periods)``."""
        n, n_periods = len(inputs), len(ENDS)
        if not n:
            return np.zeros((0, 2, n_periods))
        row, period = np.repeat(np.arange(n), n_periods), np.tile(np.arange(n_periods), n)
        landmark = np.repeat(_landmark_matrix(inputs, self.categories, self.attributes), n_periods, axis=0)
        matrix = np.column_stack([landmark, period_features(inputs, row, period, calendar_for(inputs))])
        hazards = np.asarray(self.booster.predict(matrix, num_threads=1)).reshape(n, n_periods, 3)
        hazards = self._beyond(hazards)
        survival = np.cumprod(hazards[:, :, 0], axis=1)
        before = np.concatenate([np.ones((n, 1)), survival[:, :-1]], axis=1)
        return np.moveaxis(np.cumsum(before[:, :, None] * hazards[:, :, 1:], axis=1), 1, 2)

    def _beyond(self, hazards: Floats) -> Floats:
        """Periods that nobody was watched through keep the pace of the last one that was."""
        last = self.last_period
        length = (ENDS - STARTS)[last + 1 :] / (ENDS - STARTS)[last]
        stays = hazards[:, last, 0][:, None] ** length
        leaves = np.maximum(hazards[:, last, 1:].sum(axis=1), 1e-12)
        shares = hazards[:, last, 1:] / leaves[:, None]
        hazards[:, last + 1 :, 0] = stays
        hazards[:, last + 1 :, 1:] = (1.0 - stays)[:, :, None] * shares[:, None, :]
        return hazards


def _landmark_matrix(frame: pd.DataFrame, categories: dict[str, list[str]], attributes: Attributes) -> Floats:
    """Numbers as they are, categories as codes, the company's own fields; an unknown category is missing."""
    columns = [frame[name].to_numpy(float) for name in NUMBERS]
    columns += [codes(frame[name], categories[name]) for name in CATEGORIES]
    return np.column_stack([*columns, attributes.matrix(frame)])
