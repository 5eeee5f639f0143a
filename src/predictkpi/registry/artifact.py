"""A saved predictor as a folder: ``predictor.json`` says what it is and lists the files of ``state/``, which the predictor wrote itself.

Nothing in it is executed: the class comes from the catalogue of predictors, never from a name in the artifact.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from predictkpi.errors import ArtifactError, UnknownNameError
from predictkpi.predictors import predictor_class
from predictkpi.protocol import Predictor

FORMAT = 1
MANIFEST = "predictor.json"
STATE = "state"
DATA = (".json", ".parquet", ".txt")
"""Endings of the files that a predictor may hold: JSON, Parquet and LightGBM text."""


class Manifest(BaseModel):
    """Content of ``predictor.json``; ``files`` maps the path inside ``state/`` to its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    predictor: str
    kind: Literal["model", "baseline"]
    files: dict[str, str]


def write_artifact(predictor: Predictor, folder: Path) -> Manifest:
    """Save a fitted predictor into a folder that is empty or does not exist yet."""
    state = folder / STATE
    state.mkdir(parents=True)
    predictor.save(state)
    manifest = Manifest(format=FORMAT, predictor=predictor.spec.name, kind=predictor.kind, files=_checksums(state))
    _write_manifest(folder, manifest)
    return manifest


def read_artifact(folder: Path) -> Predictor:
    """The predictor that `write_artifact` saved; `ArtifactError` for a damaged, foreign or newer folder."""
    manifest = _read_manifest(folder)
    found = _checksums(folder / STATE)
    foreign = sorted(name for name in found if not name.endswith(DATA))
    if foreign:
        raise ArtifactError(f"{folder}: holds what is no data ({', '.join(DATA)}): {', '.join(foreign)}")
    if found.keys() != manifest.files.keys():
        odd = sorted(found.keys() ^ manifest.files.keys())
        raise ArtifactError(f"{folder}: files differ from {MANIFEST}: {', '.join(odd)}")
    changed = sorted(name for name in found if found[name] != manifest.files[name])
    if changed:
        raise ArtifactError(f"{folder}: damaged, the checksum differs: {', '.join(changed)}")
    try:
        return class_of(manifest.predictor, manifest.kind).load(folder / STATE)
    except UnknownNameError as error:
        raise ArtifactError(f"{folder}: {error}") from error


def class_of(name: str, kind: Literal["model", "baseline"]) -> type[Predictor]:
    """The catalogue's class of that predictor, or the class of the baseline it names."""
    model = predictor_class(name)
    return model if kind == "model" else type(model().baseline())


def seal_again(folder: Path) -> None:
    """State the checksums anew, after the files were rewritten on purpose."""
    manifest = _read_manifest(folder)
    _write_manifest(folder, manifest.model_copy(update={"files": _checksums(folder / STATE)}))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(f"{folder}: not a saved predictor, {MANIFEST} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ArtifactError(f"{path}: not a predictkpi manifest: {error.errors()[0]['msg']}") from error
    if manifest.format != FORMAT:
        raise ArtifactError(f"{path}: format {manifest.format}, this version reads format {FORMAT}")
    return manifest


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
