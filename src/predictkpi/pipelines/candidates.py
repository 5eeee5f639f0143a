"""Unfitted predictors and fold rules as the YAML files of the models folder ask for them; unknown keys are errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from predictkpi.backtest.checks import GateRule
from predictkpi.backtest.cutoffs import FoldRule
from predictkpi.core.types import Spec
from predictkpi.errors import SettingsError
from predictkpi.pipelines.rules import checked_rule, read_yaml
from predictkpi.predictors import predictor_class
from predictkpi.protocol import MODEL, Predictor

EVALUATION = "evaluation.yaml"


def make_model(name: str, models_dir: Path) -> Predictor:
    """The predictor with the hyperparameters of ``<name>.yaml``; without that file, with the constructor's own.

    Raises `UnknownNameError` for a predictor that is not in the catalogue, `SettingsError` for a key its constructor does not have.
    """
    model = predictor_class(name)
    path = models_dir / f"{name}.yaml"
    parameters = read_yaml(path)
    known = [key for key in inspect.signature(model).parameters if key != "self"]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise SettingsError(f"{path}: unknown setting {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return model(**parameters)


def make_candidates(name: str, models_dir: Path) -> Mapping[str, Callable[[], Predictor]]:
    """Factories of the unfitted model and of each of its baselines, by the names that reports show; the model first."""

    def baseline(key: str) -> Predictor:
        return make_model(name, models_dir).baselines()[key]

    names = make_model(name, models_dir).baselines()
    return {MODEL: partial(make_model, name, models_dir)} | {key: partial(baseline, key) for key in names}


def hyperparameters(model: Predictor) -> dict[str, object]:
    """The constructor's arguments as the model holds them, for the record."""
    return {key: getattr(model, key) for key in inspect.signature(type(model)).parameters if hasattr(model, key)}


def fold_rule(spec: Spec, models_dir: Path) -> FoldRule:
    """The rule of ``evaluation.yaml`` for this predictor, or the default one."""
    path = models_dir / EVALUATION
    rules = read_yaml(path)
    return checked_rule(FoldRule, rules[spec.name], path, within=spec.name) if spec.name in rules else FoldRule.default(spec)


def gate_rule(models_dir: Path) -> GateRule:
    """What ``gate`` of ``evaluation.yaml`` asks of a model, or the default."""
    path = models_dir / EVALUATION
    return checked_rule(GateRule, read_yaml(path).get("gate", {}), path, within="gate")
