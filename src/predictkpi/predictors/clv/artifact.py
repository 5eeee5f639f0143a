"""The files a CLV model or baseline is saved as: JSON with a format mark that a reader checks first, and boosters as LightGBM text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictkpi.errors import ArtifactError, SettingsError
from predictkpi.predictors.clv.accounts import AccountPrior
from predictkpi.predictors.clv.blend import Blend
from predictkpi.predictors.clv.contracts import Contracts
from predictkpi.predictors.clv.forecast import CustomerForecast
from predictkpi.predictors.clv.level import Level
from predictkpi.predictors.clv.purchase_model import PurchaseModel

if TYPE_CHECKING:
    from lightgbm import Booster

FILE = "clv.json"
FORMAT = 2
LEARNERS = ("spend", "purchases")


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


@contextmanager
def complete(folder: Path) -> Iterator[None]:
    """Turn what is missing or odd in a saved state into an `ArtifactError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, SettingsError) as error:
        raise ArtifactError(f"{folder}: the saved CLV model is damaged: {error!r}") from error


def write_forecast(folder: Path, forecast: CustomerForecast, *, settings: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a fitted model: its numbers into `FILE`, each booster into a text file of its own."""
    blends = []
    for blend in forecast.blends.values():
        for name, booster in zip(LEARNERS, (blend.spend, blend.purchases), strict=True):
            booster.save_model(str(_booster_path(folder, name, blend.span)))
        blends.append({"span": blend.span, "categories": blend.categories, "weights": blend.weights})
        blends[-1] |= {"scales": blend.scales, "largest": blend.largest}
    state = state | {
        "model": forecast.model.to_state(),
        "accounts": forecast.accounts.to_state(),
        "contracts": forecast.contracts.to_state(),
        "levels": [asdict(level) for level in forecast.levels.values()],
        "blends": blends,
    }
    write_state(folder, kind="model", settings=settings, state=state)


def read_forecast(folder: Path) -> tuple[dict[str, Any], dict[str, Any], CustomerForecast]:
    """Settings, state and the fitted model that `write_forecast` wrote; raises `ArtifactError`."""
    settings, state = read_state(folder, kind="model")
    with complete(folder):
        blends = {}
        for held in state["blends"]:
            spend, purchases = (_read_booster(_booster_path(folder, name, held["span"])) for name in LEARNERS)
            weights, scales = tuple(held["weights"]), tuple(held["scales"])
            blends[int(held["span"])] = Blend(
                int(held["span"]), spend, purchases, held["categories"], weights, scales, float(held["largest"])
            )
        forecast = CustomerForecast(
            PurchaseModel.from_state(state["model"]),
            AccountPrior(**state["accounts"]),
            Contracts.from_state(state["contracts"]),
            blends,
            {int(level["span"]): Level(**level) for level in state["levels"]},
        )
    return settings, state, forecast


def _booster_path(folder: Path, name: str, span: int) -> Path:
    return Path(folder, f"{name}_{span}.txt")


def _read_booster(path: Path) -> Booster:
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read: {error}") from error
    if not text.startswith("tree\n") or "end of parameters" not in text:  # LightGBM reads what is left of a file cut short
        raise ArtifactError(f"{path}: not a LightGBM model, or cut short")
    try:
        return Booster(model_str=text)
    except LightGBMError as error:
        raise ArtifactError(f"{path}: cannot be read as a LightGBM model: {error}") from error
