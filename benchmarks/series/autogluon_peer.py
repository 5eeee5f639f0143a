"""Run by the interpreter that has AutoGluon: ``python autogluon_peer.py asked.npz answered.npz``.

Reads monthly series, one array a series, and the horizon; fits AutoGluon-TimeSeries with its statistical models and its weighted ensemble;
writes the mean path and the 10 % and 90 % quantiles ``(n, h)`` of each series, and CPU seconds. Imports nothing of ours.
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np
import pandas as pd

STATISTICAL = ("SeasonalNaive", "AutoETS", "AutoCES", "AutoARIMA", "DynamicOptimizedTheta", "NPTS")


def answer(histories: list[np.ndarray], horizon: int) -> dict[str, np.ndarray]:
    from autogluon.timeseries import TimeSeriesDataFrame, TimeSeriesPredictor

    parts = [
        pd.DataFrame({"item_id": f"s{k:04d}", "timestamp": pd.date_range("2000-01-01", periods=len(y), freq="MS"), "target": y})
        for k, y in enumerate(histories)
    ]
    data = TimeSeriesDataFrame.from_data_frame(pd.concat(parts, ignore_index=True))
    started = _cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        predictor = TimeSeriesPredictor(
            prediction_length=horizon, freq="MS", eval_metric="MASE", quantile_levels=[0.1, 0.5, 0.9], path=folder, verbosity=0
        )
        predictor.fit(data, hyperparameters={name: {} for name in STATISTICAL})
        said = predictor.predict(data)
    wide = {name: said[name].unstack("timestamp") for name in ("mean", "0.1", "0.9")}
    paths = {name: np.stack([row.dropna().to_numpy() for _, row in frame.iterrows()]) for name, frame in wide.items()}
    return {"mean": paths["mean"], "low": paths["0.1"], "high": paths["0.9"], "cpu_seconds": np.array(_cpu_seconds() - started)}


def _cpu_seconds() -> float:
    """Of this process and of those it has ended, since AutoGluon fits in some of its own."""
    return sum(os.times()[:4])


def main() -> None:
    with np.load(sys.argv[1]) as asked:
        histories = [asked[name] for name in sorted(asked.files) if name != "horizon"]
        found = answer(histories, int(asked["horizon"]))
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
