"""Learned state on disk: JSON, Parquet and LightGBM text, checked when it is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from predictkpi.errors import ArtifactError

FORMAT = 2
STATE = "state.json"
CURVES = "curves.parquet"
HAZARD = "hazard.txt"


def write(folder: Path, *, kind: str, state: dict[str, Any], curves: pd.DataFrame, booster: str | None = None) -> None:
    """Write the files of one predictor into an existing folder."""
    content = {"predictor": "close_time", "kind": kind, "format": FORMAT} | state
    (folder / STATE).write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    curves.to_parquet(folder / CURVES, index=False)
    if booster is not None:
        (folder / HAZARD).write_text(booster, encoding="utf-8")


def read(folder: Path, *, kind: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """State and curves; `ArtifactError` where the folder is not a saved close-time predictor of this kind and format."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        curves = pd.read_parquet(folder / CURVES)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}: not a readable close-time predictor: {error}") from error
    found = {key: state.get(key) for key in ("predictor", "kind", "format")} if isinstance(state, dict) else state
    wanted = {"predictor": "close_time", "kind": kind, "format": FORMAT}
    if found != wanted:
        raise ArtifactError(f"{folder}: holds {found}, expected {wanted}")
    return state, curves


def read_booster(folder: Path) -> str:
    """LightGBM's text; `ArtifactError` where it is absent or something else (LightGBM would end the process on some of that)."""
    try:
        text = (folder / HAZARD).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}: {HAZARD} cannot be read: {error}") from error
    if not text.startswith("tree\n") or "end of trees" not in text:
        raise ArtifactError(f"{folder}: {HAZARD} is not a LightGBM model, or cut short")
    return text
