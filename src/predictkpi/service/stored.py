"""Answers for what the store knows, as bytes: made when first asked for, kept as long as their view."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import cast

from predictkpi.service.customer_answers import ranked
from predictkpi.service.view import View
from predictkpi.service.wire import Envelope, encoded

MOST_KEPT = 8192
"""Answers of some 4 kB each; beyond it those asked for first give way."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer, for the log, and its JSON."""

    answer: Envelope
    body: bytes


class StoredAnswers:
    """The answers of one view at the usual horizons; entities outside a champion's cohort are not among them."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._kept: dict[tuple[str, str], StoredAnswer] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, view: View) -> StoredAnswers:
        """Those of a view: one object a view."""
        return cast(StoredAnswers, view.page("stored-answers", cls))

    def get(self, predictor: str, entity_id: str) -> StoredAnswer | None:
        """None for an entity outside the cohort; raises `NoChampionError` and its like."""
        key = predictor, entity_id
        found = self._kept.get(key)
        if found is None and entity_id in self._view.champion(predictor).table:
            answer = self._view.predict(predictor, entity_id)
            found = StoredAnswer(answer, encoded(ranked(answer, self._view) if predictor == "clv" else answer))
            with self._lock:
                if len(self._kept) >= MOST_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = found
        return found
