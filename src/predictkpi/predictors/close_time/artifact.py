"""Learned state on disk: JSON, Parquet and LightGBM text, checked when it is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from predictkpi.errors import ArtifactError

if TYPE_CHECKING:
    from lightgbm import Booster

FORMAT = 3
STATE = "state.json"
CURVES = "curves.parquet"
USUAL = "usual_deal.parquet"


def write(folder: Path, *, kind: str, state: dict[str, Any], curves: pd.DataFrame, boosters: Mapping[str, str] | None = None) -> None:
    """Write the files of one predictor into an existing folder; ``boosters``: LightGBM texts by name."""
    content = {"predictor": "close_time", "kind": kind, "format": FORMAT} | state
    (folder / STATE).write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    curves.to_parquet(folder / CURVES, index=False)
    for name, text in (boosters or {}).items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


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


def read_usual(folder: Path) -> pd.DataFrame:
    """The usual deal that explanations start from; `ArtifactError` where it cannot be read."""
    try:
        return pd.read_parquet(folder / USUAL)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}: {USUAL} cannot be read: {error}") from error


def read_booster(folder: Path, name: str) -> Booster:
    """A booster; `ArtifactError` where its text is absent or something else (LightGBM would end the process on some of that)."""
    import lightgbm as lgb

    file = folder / f"{name}.txt"
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{folder}: {file.name} cannot be read: {error}") from error
    if not text.startswith("tree\n") or "end of parameters" not in text:
        raise ArtifactError(f"{folder}: {file.name} is not a LightGBM model, or cut short")
    try:
        return lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as error:
        raise ArtifactError(f"{folder}: LightGBM cannot read {file.name}: {error}") from error
