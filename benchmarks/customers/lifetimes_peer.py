"""Run by the interpreter that has lifetimes: ``python lifetimes_peer.py asked.npz answered.npz``.

Reads frequency, recency, T and, where there is spend, the mean value of repeat purchases; fits BG/NBD and Gamma-Gamma with the package's
defaults; writes expected purchases, expected value of a purchase, the parameters, and CPU seconds of (fit, predict) of BG/NBD and of
(fit, predict) of Gamma-Gamma. Where a fit does not converge, only ``error`` is written. Imports nothing of ours.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np


def answer(asked) -> dict[str, np.ndarray]:
    from lifetimes import BetaGeoFitter, GammaGammaFitter

    x, tx, age = asked["frequency"], asked["recency"], asked["T"]
    clock = [time.process_time()]
    model = BetaGeoFitter()
    model.fit(x, tx, age)
    clock.append(time.process_time())
    purchases = np.asarray(model.conditional_expected_number_of_purchases_up_to_time(float(asked["days"]), x, tx, age))
    clock.append(time.process_time())
    value = np.ones(len(x))
    if "monetary" in asked:
        monetary = asked["monetary"]
        some = (x > 0) & (monetary > 0)
        spend = GammaGammaFitter()
        spend.fit(x[some], monetary[some])
        clock.append(time.process_time())
        value = np.asarray(spend.conditional_expected_average_profit(x, monetary))
        clock.append(time.process_time())
    parameters = model.params_[["r", "alpha", "a", "b"]].to_numpy()
    return {"purchases": purchases, "value": value, "parameters": parameters, "cpu_seconds": np.diff(clock)}


def main() -> None:
    from lifetimes.utils import ConvergenceError

    warnings.simplefilter("ignore")
    with np.load(sys.argv[1]) as asked:
        try:
            found = answer(asked)
        except ConvergenceError as error:
            found = {"error": np.array(f"lifetimes did not converge: {str(error).strip().splitlines()[0]}")}
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()
