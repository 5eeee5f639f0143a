"""A real PostgreSQL server for the tests: its own data folder, no port (a Unix socket), gone when the tests are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

UNPRIVILEGED = "nobody"  # the server refuses to run as root
SETTINGS = {"listen_addresses": "''", "fsync": "off", "full_page_writes": "off", "max_connections": "40", "shared_buffers": "64MB"}


def programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: on the PATH, or where Debian keeps the newest; None if there is no server."""
    found = shutil.which("initdb")
    if found and shutil.which("pg_ctl"):
        return Path(found).parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


class Server:
    """A running server; every test may have a database of its own."""

    def __init__(self, folder: Path, pg_ctl: list[str], account: dict[str, object], settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = settings or {}
        self._pg_ctl = pg_ctl
        self._account = account
        self._made = 0

    @property
    def port(self) -> str:
        """Of its socket."""
        return self._settings.get("port", "5432")

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, as a user would write it."""
        return f"postgresql://tester@/{database}?host={self.folder}&port={self.port}"

    def new_database(self, *, template: str = "template0") -> str:
        """The URL of an empty database, or of a copy of one that nobody is connected to."""
        self._made += 1
        name = f"made_{self._made}"
        with psycopg.connect(host=str(self.folder), port=self.port, user="tester", dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = " ".join(f"-c {name}={value}" for name, value in (SETTINGS | self._settings).items())
        self._run("-w", "-l", f"{self.folder}/log", "-o", f"-k {self.folder} {settings}", "start")

    def stop(self) -> None:
        """Stop it as a crash would: connections break off, nothing is tidied up."""
        self._run("-w", "-m", "immediate", "stop")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._pg_ctl, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._account)


@contextmanager
def running_server(binaries: Path, settings: dict[str, str] | None = None) -> Iterator[Server]:
    """A server in a temporary folder, run by an unprivileged user if the tests are run by root; ``settings`` beside `SETTINGS`."""
    account: dict[str, object] = {}
    folder = Path(tempfile.mkdtemp(prefix="predictkpi-pg-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(folder, user.pw_uid, user.pw_gid)
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    data = folder / "data"
    server = Server(folder, [str(binaries / "pg_ctl"), "-D", str(data)], account, settings)
    try:
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **account)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
