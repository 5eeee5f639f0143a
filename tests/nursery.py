"""Work done in a process of its own that can be killed at any moment."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

LOOP = """
import os, sys
{imports}


for line in sys.stdin:
    words = line.split()
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        {work}
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Nursery:
    """Forks ``work`` (one statement, which finds what it was told in ``words``) at once, off a process that has imported everything.

    So a kill falls into the work and not into the imports.
    """

    def __init__(self, *, imports: str, work: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-W", "ignore", "-c", LOOP.format(imports=imports, work=work)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment)

    def run(self, *words: object, seconds: float | None = None, until: threading.Event | None = None) -> int:
        """The exit code; killed after ``seconds`` if it is still at work then, or once ``until`` is set."""
        self._process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        child = int(self._process.stdout.readline())
        if until is not None:
            assert until.wait(30)
            os.kill(child, signal.SIGKILL)
        elif not select.select([self._process.stdout], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
