"""Where a model comes from: which data, by content, and which code."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

import numpy as np
import pandas as pd

import predictkpi
from predictkpi.core import columns as c
from predictkpi.snapshot import Snapshot
from predictkpi.tables import TABLES


@dataclass(frozen=True)
class DataDigest:
    """``sha256`` over the company and every version of every table known before the snapshot's as_of; ``rows`` counts them by table."""

    sha256: str
    rows: dict[str, int]


def data_digest(snapshot: Snapshot) -> DataDigest:
    """Digest of what a snapshot knows; the order in which rows were loaded or come back from the store does not change it. Pure."""
    whole = hashlib.sha256(snapshot.company.model_dump_json().encode())
    rows = {}
    for name, schema in TABLES.items():
        frame = snapshot.history(name)
        rows[name] = len(frame)
        columns = pd.DataFrame({column: _plain(frame[column]) for column in (*schema.column_names, c.KNOWN_AT)})
        hashes = np.sort(pd.util.hash_pandas_object(columns, index=False).to_numpy())
        whole.update(f"{name}:{len(frame)}:".encode())
        whole.update(hashes.tobytes())
    return DataDigest(whole.hexdigest(), rows)


def _plain(values: pd.Series) -> pd.Series:
    """The values in one dtype per kind, so that how they were stored does not matter: microseconds, floats, strings."""
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    if values.dtype.kind in "iuf":
        return values.astype(float)
    return values.astype(object).where(values.notna(), "")


@dataclass(frozen=True)
class CodeVersion:
    """``commit`` is empty outside a git checkout; ``is_clean`` is false where files differ from it."""

    package: str
    commit: str
    is_clean: bool
    python: str


def code_version() -> CodeVersion:
    """Version of the running code, and its git commit where it runs from a checkout."""
    root = Path(predictkpi.__file__).parent
    commit = _git(root, "rev-parse", "HEAD")
    is_clean = bool(commit) and not _git(root, "status", "--porcelain", "--", str(root))
    return CodeVersion(predictkpi.__version__, commit, is_clean, platform.python_version())


def _git(folder: Path, *arguments: str) -> str:
    """What git answers; empty where there is no git, no repository or no commit."""
    try:
        answer = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603, S607  no shell
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


@cache
def environment() -> dict[str, object]:
    """What a training ran in: Python, system and the versions of every installed distribution."""
    packages = {str(each.metadata["Name"]).lower(): each.version for each in distributions()}
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": dict(sorted(packages.items())),
    }


def requirements() -> list[str]:
    """What a saved model needs to be loaded elsewhere, pinned to what it was made with."""
    names = ("lightgbm", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "statsforecast")
    pins = [f"predictkpi=={predictkpi.__version__}"]
    for name in names:
        try:
            pins.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return pins
