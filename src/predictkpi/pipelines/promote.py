"""Promote: let another registered version serve. A person's decision; the gate is not asked."""

from __future__ import annotations

from predictkpi.core.types import ModelRef
from predictkpi.predictors import predictor_class
from predictkpi.registry import Registry


def promote(registry: Registry, predictor: str, version: str) -> ModelRef:
    """Move the alias ``champion``; the version that held it stays registered, so promoting that one again rolls back.

    Raises `UnknownNameError` for a predictor, `NotFoundError` for a version that does not exist.
    """
    predictor_class(predictor)
    return registry.promote(predictor, version)
