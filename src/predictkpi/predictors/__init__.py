"""The catalogue of predictors: one dotted name per line, and no second list anywhere."""

from __future__ import annotations

from importlib import import_module

from predictkpi.errors import UnknownNameError
from predictkpi.protocol import Predictor

__all__ = ["PREDICTORS", "predictor_class"]

PREDICTORS = (
    "predictkpi.predictors.revenue.model.RevenueForecaster",
    "predictkpi.predictors.clv.model.ClvPredictor",
    "predictkpi.predictors.close_time.model.CloseTimePredictor",
)


def predictor_names() -> tuple[str, ...]:
    """Names in catalogue order, taken from the folders: importing no model."""
    return tuple(dotted.split(".")[-3] for dotted in PREDICTORS)


def predictor_class(name: str) -> type[Predictor]:
    """The class of that predictor, imported only now; `UnknownNameError` lists the catalogue."""
    for dotted in PREDICTORS:
        module, _, class_name = dotted.rpartition(".")
        if module.split(".")[-2] == name:
            return getattr(import_module(module), class_name)
    raise UnknownNameError.among("predictor", name, known=predictor_names())
