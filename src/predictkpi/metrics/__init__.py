"""Scores: pure functions of predictions and outcomes."""
