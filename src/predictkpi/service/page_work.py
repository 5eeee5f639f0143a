"""What the pages of a view wait for: worked out once each, by whoever asks first, and no reader waits for it longer than a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from predictkpi.service.view import View

GRACE_SECONDS = 2.0
"""So long after a step has begun readers wait for it; who comes later sees at once that it is being worked out."""

Step = Callable[[View], object]


class _Turn:
    """One step: ``begun_at`` once somebody does it."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.begun_at: float | None = None
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether the caller is the one to do it."""
        with self._lock:
            is_first = self.begun_at is None
            if is_first:
                self.begun_at = time.monotonic()
            return is_first


class PageWork:
    """The steps of one view by place, the path of the page that needs one; a place without a step needs nothing.

    ``do`` does a step and must not raise: what fails is told, and then counts as done, for the page itself says what is amiss.
    """

    def __init__(self, view: View, steps: Mapping[str, Step], *, do: Callable[[Step, View], object], grace_seconds: float = GRACE_SECONDS):
        self.view = view
        self._turns = {place: _Turn(step) for place, step in steps.items()}
        self._do_step = do
        self._grace_seconds = grace_seconds

    @property
    def is_done(self) -> bool:
        """Whether every step is."""
        return all(turn.ended.is_set() for turn in self._turns.values())

    def run(self, is_wanted: Callable[[], bool]) -> bool:
        """Do what nobody has begun, step by step, while it is wanted; whether all of it is done."""
        for turn in self._turns.values():
            if not is_wanted():
                return False
            if turn.take():
                self._do(turn)
            else:
                turn.ended.wait()
        return True

    def is_ready(self, place: str) -> bool:
        """Whether a page can be shown: its step is begun if nobody has, and waited for, for a moment after its beginning."""
        turn = self._turns.get(place)
        if turn is None or turn.ended.is_set():
            return True
        if turn.take():
            threading.Thread(target=self._do, args=[turn], name="predictkpi-page", daemon=True).start()
        assert turn.begun_at is not None
        return turn.ended.wait(max(turn.begun_at + self._grace_seconds - time.monotonic(), 0.0))

    def _do(self, turn: _Turn) -> None:
        try:
            self._do_step(turn.step, self.view)
        finally:
            turn.ended.set()
