"""The one file a CLV model or baseline is saved as: JSON, with a format mark that a reader checks first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from predictkpi.errors import ArtifactError

FILE = "clv.json"
FORMAT = 1


def write_state(folder: Path, *, kind: str, settings: dict[str, Any], state: dict[str, Any]) -> None:
    """Write settings and learned state; floats keep every bit."""
    text = json.dumps({"predictor": "clv", "kind": kind, "format": FORMAT, "settings": settings, "state": state}, indent=1)
    Path(folder, FILE).write_text(text + "\n", encoding="utf-8")


def read_state(folder: Path, *, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings and state; raises `ArtifactError` for a missing, damaged or foreign file or another format."""
    path = Path(folder, FILE)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as a saved CLV predictor: {error}") from error
    found = tuple(content.get(key) for key in ("predictor", "kind", "format")) if isinstance(content, dict) else (None,) * 3
    if found != ("clv", kind, FORMAT):
        raise ArtifactError(f"{path}: expected a clv {kind} of format {FORMAT}, found {found[0]} {found[1]} of format {found[2]}")
    if not isinstance(content.get("settings"), dict) or not isinstance(content.get("state"), dict):
        raise ArtifactError(f"{path}: settings or state are missing")
    return content["settings"], content["state"]
