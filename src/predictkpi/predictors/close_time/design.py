"""What the learners see of a landmark: one matrix, whose columns are chosen on the training table and then stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd

from predictkpi.core.arrays import Columns, Records
from predictkpi.features.deal_asof import Floats
from predictkpi.features.deal_history import CATEGORIES, NUMBERS
from predictkpi.features.deal_tallies import ACTIVITIES, STAGES
from predictkpi.predictors.close_time.attributes import CHANCE, FEWEST_LANDMARKS, Attributes, by_chance_of, codes, places_of
from predictkpi.predictors.close_time.table import IS_SAMPLED

LEAST_SHARE = 0.01
"""A kind of activity or a stage is told apart if it had happened at this share of the landmarks, and tells more than chance would."""


@dataclass(frozen=True)
class Design:
    """Values known of each category, tallies that have support, and the company's own fields."""

    categories: dict[str, list[str]]
    tallies: tuple[str, ...]
    attributes: Attributes

    @classmethod
    def choose(cls, table: pd.DataFrame, *, most_attributes: int) -> Self:
        """From the sampled landmarks of a training table."""
        rows = table[table[IS_SAMPLED].to_numpy(bool)]
        least = max(FEWEST_LANDMARKS, LEAST_SHARE * len(rows))
        tallied = [str(name) for name in table if str(name).startswith((f"{STAGES}.", f"{ACTIVITIES}."))]
        told = by_chance_of(rows, {name: None for name in tallied if rows[name].notna().sum() >= least})
        return cls(
            categories={name: sorted(rows[name].dropna().unique().tolist()) for name in CATEGORIES},
            tallies=tuple(name for name, p in told.items() if p < CHANCE),
            attributes=Attributes.choose(table, most=most_attributes),
        )

    @cached_property
    def names(self) -> list[str]:
        """Columns of `matrix`, in its order. Do not modify."""
        return [*NUMBERS, *self.categories, *self.tallies, *self.attributes.names]

    @property
    def categorical(self) -> list[int]:
        """Places of the columns that hold codes."""
        of_text = {*self.categories, *self.attributes.categories}
        return [place for place, name in enumerate(self.names) if name in of_text]

    def matrix(self, inputs: Columns) -> Floats:
        """``(len(inputs), len(names))``: numbers as they are, categories as codes; what is unknown or not there is missing."""
        if isinstance(inputs, Records):
            return np.array([self._row(row) for row in inputs.rows], float).reshape(len(inputs), len(self.names))
        columns = [inputs.floats(name) for name in NUMBERS]
        columns += [codes(inputs[name], known) for name, known in self.places.items()]
        columns += [inputs.floats(name) if name in inputs else np.full(len(inputs), np.nan) for name in self.tallies]
        return np.stack([*columns, *self.attributes.columns(inputs)], axis=1)

    def _row(self, row: Mapping[str, float | str | None]) -> list[float | str | None]:
        """A row of `matrix`: for a few deals that come as rows, in a tenth of the time."""
        own = (row.get(name) for name in self.attributes.numbers)
        return [
            *(row[name] for name in NUMBERS),
            *(places.get(row[name], np.nan) for name, places in self.places.items()),  # type: ignore[arg-type]
            *(row.get(name, np.nan) for name in self.tallies),
            *(value if isinstance(value, float) else np.nan for value in own),
            *(places.get(row.get(name), np.nan) for name, places in self.attributes.places.items()),  # type: ignore[arg-type]
        ]

    @cached_property
    def places(self) -> dict[str, dict[str, int]]:
        """By category, the code of each value that was there to be learnt from."""
        return {name: places_of(values) for name, values in self.categories.items()}

    def to_state(self) -> dict[str, Any]:
        """As JSON; `from_state` reads it."""
        return {"categories": self.categories, "tallies": list(self.tallies), "attributes": self.attributes.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Inverse of `to_state`."""
        return cls(
            {name: state["categories"][name] for name in CATEGORIES}, tuple(state["tallies"]), Attributes.from_state(state["attributes"])
        )
