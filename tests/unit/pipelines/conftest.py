"""What tests of the pipelines share."""

from __future__ import annotations

import pytest

from predictkpi.backtest import report


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    """Pictures are named and kept, and not drawn: a third of a small training's time, and tests of backtests look at them."""
    monkeypatch.setattr(report, "_png", lambda result, draw: b"\x89PNG")
