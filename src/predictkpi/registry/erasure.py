"""Erase in files: rows of customers and deals out of frames of inputs, names of persons out of whatever text holds them alone.

Such rows are in the input example of a model version and in a training that was kept while MLflow was away. A name may be a value that a
model knows (a category of an own field, a series): it becomes the same pseudonym as in the store, so that the model knows it still.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c
from predictkpi.registry.artifact import MANIFEST, seal_again

if TYPE_CHECKING:
    from mlflow import MlflowClient

_AT_ONCE = 100


@dataclass(frozen=True)
class Erasing:
    """What to erase: ``is_gone`` says which ids (of customers, deals, ...) are, ``renamed`` gives a person's pseudonym or the same text."""

    is_gone: Callable[[Collection[object]], npt.NDArray[np.bool_]]
    renamed: Callable[[str], str]


def erase_below(root: Path, erasing: Erasing) -> int:
    """Rewrite the JSON and Parquet files below that folder that name what is erased; returns how many."""
    changed = [path for path in sorted(root.rglob("*")) if path.is_file() and _is_rewritten(path, erasing)]
    for manifest in root.rglob(MANIFEST):
        if any(manifest.parent in path.parents for path in changed):
            seal_again(manifest.parent)
    return len(changed)


def erase_in_models(client: MlflowClient, mlflow: ModuleType, erasing: Erasing) -> int:
    """The same in every model that is logged in an experiment of ours, wherever MLflow keeps its artifacts."""
    changed = 0
    for model_id in _models(client):
        with tempfile.TemporaryDirectory(prefix="predictkpi-") as folder:
            local = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=folder))
            before = {path: path.stat().st_mtime_ns for path in local.rglob("*") if path.is_file()}
            changed += erase_below(local, erasing)
            for path, at in before.items():
                if path.stat().st_mtime_ns != at:
                    within = path.parent.relative_to(local).as_posix()
                    client.log_model_artifact(model_id, str(path), *([] if within == "." else [within]))
    return changed


def _models(client: MlflowClient) -> Iterator[str]:
    experiments = [found.experiment_id for found in client.search_experiments(filter_string="name LIKE 'predictkpi-%'")]
    token = None
    while experiments:
        page = client.search_logged_models(experiments, max_results=_AT_ONCE, page_token=token)
        yield from (model.model_id for model in page)
        token = page.token
        if not token:
            return


def _is_rewritten(path: Path, erasing: Erasing) -> bool:
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        found = _erased_frame(frame, erasing)
        if found.equals(frame):
            return False
        found.to_parquet(path)
        return True
    if path.suffix != ".json":
        return False
    text = path.read_text(encoding="utf-8")
    held = json.loads(text)
    found = _erased_json(held, erasing)
    if found == held:
        return False
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return True


def _erased_frame(frame: pd.DataFrame, erasing: Erasing) -> pd.DataFrame:
    if c.ENTITY_ID in frame:
        frame = frame[~erasing.is_gone(frame[c.ENTITY_ID].tolist())]
    for name in frame.columns:
        if pd.api.types.is_string_dtype(frame[name]) and not isinstance(frame[name].dtype, pd.CategoricalDtype):
            changed = {
                text: new for text in frame[name].dropna().unique() if isinstance(text, str) and (new := erasing.renamed(text)) != text
            }
            if changed:
                frame = frame.assign(**{name: frame[name].map(lambda text, changed=changed: changed.get(text, text))})
    return frame


def _erased_json(value: Any, erasing: Erasing) -> Any:
    if isinstance(value, dict):
        if isinstance(columns := value.get("columns"), list) and c.ENTITY_ID in columns and isinstance(value.get("data"), list):
            gone = erasing.is_gone([row[columns.index(c.ENTITY_ID)] for row in value["data"]])
            value = value | {"data": [row for row, is_out in zip(value["data"], gone, strict=True) if not is_out]}
        return {erasing.renamed(name): _erased_json(each, erasing) for name, each in value.items()}
    if isinstance(value, list):
        return [_erased_json(each, erasing) for each in value]
    return erasing.renamed(value) if isinstance(value, str) else value
