"""Where work runs: on this machine, or on a Spark cluster. One interface, equal answers; see docs/scaling.md."""

from __future__ import annotations

from predictkpi.engines.base import Engine, Predictions
from predictkpi.engines.local import LocalEngine

__all__ = ["Engine", "LocalEngine", "Predictions"]
