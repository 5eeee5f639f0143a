"""Pytest plugin: examples/churn as if its folder lay among the predictors, and its one line in the catalogue."""

from __future__ import annotations

from pathlib import Path

import predictkpi.predictors as catalogue

FOLDER = Path(__file__).resolve().parents[2] / "examples"
LINE = "predictkpi.predictors.churn.model.ChurnPredictor"

catalogue.__path__.append(str(FOLDER))
catalogue.PREDICTORS = (*catalogue.PREDICTORS, LINE)
