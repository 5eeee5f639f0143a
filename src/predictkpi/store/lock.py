"""A lock that one process holds for as long as a piece of work takes, wherever it runs, and that is free again when that process dies.

========  ============================================================  ====================================================
          SQLite                                                        PostgreSQL
========  ============================================================  ====================================================
is held   on a file beside the database (``flock``)                     by a session (advisory lock), across machines
the name  of the holder is written into that file                       of the holder is the session's application name
========  ============================================================  ====================================================

Nothing is held on a database in memory: no other process can see it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from predictkpi.errors import LockedError, StoreError

_LONGEST_NAME = 63  # what PostgreSQL keeps of an application name, in bytes
_MEMORY = (None, "", ":memory:")
_HOLDERS = sa.text(
    "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.classid = :high AND l.objid = :low AND l.objsubid = 1"
)


@contextmanager
def holding(engine: sa.Engine, work: str, *, holder: str) -> Iterator[None]:
    """Hold the lock of that work; raises `LockedError` at once, which names the holder, where another process has it."""
    if engine.dialect.name == "postgresql":
        with _session_lock(engine, work, holder):
            yield
    elif engine.url.database in _MEMORY:
        yield
    else:
        with _file_lock(Path(str(engine.url.database)), work, holder):
            yield


@contextmanager
def _file_lock(database: Path, work: str, holder: str) -> Iterator[None]:
    path = database.with_name(f"{database.name}.{work}.lock")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{path}: the lock of {work} cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _locked(work, os.pread(handle, 1000, 0).decode(errors="replace")) from error
        # The file stays: whoever removed it would take the lock from one that has just opened it.
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode(), 0)
        yield
    finally:
        os.close(handle)


@contextmanager
def _session_lock(engine: sa.Engine, work: str, holder: str) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(f"predictkpi {work}".encode()).digest()[:8], signed=True)
    # A session of its own, in no transaction, that does not go back to the pool with the lock in its hands.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            if not connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar_one():
                halves = {"high": (key >> 32) & 0xFFFFFFFF, "low": key & 0xFFFFFFFF}
                raise _locked(work, connection.execute(_HOLDERS, halves).scalar() or "")
            name = holder.encode()[:_LONGEST_NAME].decode(errors="ignore")
            connection.execute(sa.text("SELECT set_config('application_name', :name, false)"), {"name": name})
            yield
        finally:
            with suppress(StoreError):  # given back at once: the server takes a moment to see that a session has ended
                connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            connection.invalidate()


def _locked(work: str, holder: str) -> LockedError:
    return LockedError(f"{work} is being done by {holder or 'another process'} just now; run it again when that has ended")
