"""What the service does again and again beside its answers, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def outcome(do: Callable[[], object], name: str) -> BaseException | None:
    """What a call raised, of whatever kind; None if nothing did. For who has to go on, and to tell of it. ``name`` is its thread's."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        return pool.submit(do).exception()


class Rounds:
    """Calls ``do`` again and again, ``pause`` seconds after it has ended, from `start` to `stop`; ``do`` must not raise.

    ``at_once``: the first round comes without a pause. ``in_the_end``: one more comes when it is stopped.
    """

    def __init__(
        self, name: str, do: Callable[[], object], *, pause: Callable[[], float], at_once: bool = False, in_the_end: bool = False
    ) -> None:
        self._do = do
        self._pause = pause
        self._at_once, self._in_the_end = at_once, in_the_end
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def hurry(self) -> None:
        """Begin the next round without a pause."""
        self._woken.set()

    def stop(self) -> None:
        """End, once the round under way has; does nothing where it was not started."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def is_stopping(self) -> bool:
        """Whether a long round should make an end."""
        return self._stopping.is_set()

    def _run(self) -> None:
        if self._at_once:
            self._do()
        while not self._stopping.is_set():
            self._woken.wait(self._pause())
            self._woken.clear()
            if not self._stopping.is_set():
                self._do()
        if self._in_the_end:
            self._do()
