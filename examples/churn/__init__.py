"""Churn as a fourth predictor: an example to copy into ``src/predictkpi/predictors/``, with one line more in the catalogue there."""
