"""The champions as they were last served from this machine: what a service starts with while the registry is away."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from predictkpi.core.types import ModelRef
from predictkpi.errors import ArtifactError, NoChampionError
from predictkpi.protocol import Predictor
from predictkpi.registry.artifact import read_artifact, write_artifact

_REF = "champion.json"


class LastGood:
    """Copies below one folder, ``<predictor>/<version>``; only the newest of each predictor is kept. Several processes may write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def remember(self, predictor: Predictor, ref: ModelRef) -> None:
        """Keep a champion that was loaded; does nothing where that version is kept already. Raises OSError where it cannot be written."""
        folder = self.root / ref.predictor
        try:
            if self._ref(folder) == ref:
                return
        except ArtifactError:
            pass  # a damaged copy is written anew
        version = folder / ref.version
        folder.mkdir(parents=True, exist_ok=True)
        before = [path for path in folder.iterdir() if path.is_dir() and path.name.isdigit() and path != version]
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
        try:
            write_artifact(predictor, making / "predictor")
            shutil.rmtree(version, ignore_errors=True)
            if not version.exists():  # else another process was quicker, whose copy is the same
                (making / "predictor").rename(version)
            (making / _REF).write_text(ref.model_dump_json(), encoding="utf-8")
            (making / _REF).replace(folder / _REF)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        for old in before:
            shutil.rmtree(old, ignore_errors=True)

    def read(self, predictor: str) -> tuple[Predictor, ModelRef]:
        """What was served last; `NoChampionError` where nothing was kept, `ArtifactError` where it is damaged."""
        ref = self._ref(self.root / predictor)
        if ref is None:
            raise NoChampionError(f"no champion of {predictor} was ever served from this machine")
        return read_artifact(self.root / predictor / ref.version), ref

    def _ref(self, folder: Path) -> ModelRef | None:
        path = folder / _REF
        if not path.is_file():
            return None
        try:
            return ModelRef.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: cannot be read: {error}") from error
