"""Makes the weights of `predictkpi.predictors.revenue.network` from generated series alone, the same ones each time.

    python -m series.learn_network --season 12 --seed 1      (in benchmarks/, with torch in the environment; the package needs none)

Ever new series of `generated` are cut at random lengths of two years and more; the network is told what `ask` tells it and pays the
absolute error of the logarithms, each series in units of its own yearly change: what MASE and sMAPE count. Adam with a step that falls
along a cosine, averaged weights. What was chosen about it was chosen on generated series held out and on the training part of M3.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from predictkpi.predictors.revenue import network
from predictkpi.predictors.revenue.network import ERRORS, LOG_VARIANCES, PATH, Network, Question, ask, to_arrays
from predictkpi.predictors.revenue.point import shrunk_seasonal_indices
from series.generated import generate

HORIZON = {12: 18, 4: 8}
LONGEST = {12: 150, 4: 72}
BATCH, CUTS = 1024, 4
WIDTH, HIDDEN = 192, 3
ERROR_WIDTH, FREEDOM = 64, 6.0
STEPS, RATE = {12: 20_000, 4: 10_000}, 2e-3
_AVERAGED = 0.999
# A series whose yearly change is next to nothing does not count for more than this many others.
_LARGEST_LOSS = 20.0

Floats = network.Floats


def questions(rng: np.random.Generator, season: int) -> Iterator[tuple[Question, Floats]]:
    """Batches of questions, and their true answers in units of the question."""
    horizon = HORIZON[season]
    while True:
        x = np.log(generate(rng, BATCH, LONGEST[season] + horizon, season))
        for n in np.exp(rng.uniform(np.log(2 * season), np.log(LONGEST[season]), CUTS)).astype(int):
            start = int(rng.integers(LONGEST[season] - n + 1))
            history, future = x[:, start : start + n], x[:, start + n : start + n + horizon]
            question = ask(history, *shrunk_seasonal_indices(history, season), horizon)
            yield question, (future - question.base) / question.unit


def learn(season: int, *, seed: int, steps: int) -> dict[str, Network]:
    """Both networks of a season; that of errors learns what the other one leaves."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    batches = questions(np.random.default_rng(seed), season)
    question, _ = next(batches)
    path = rectified([question.features.shape[1], *[WIDTH] * HIDDEN, HORIZON[season]])
    errors = rectified([question.features.shape[1], ERROR_WIDTH, ERROR_WIDTH, 3])
    both = torch.nn.ModuleDict({PATH: path, ERRORS: errors})
    averaged = torch.optim.swa_utils.AveragedModel(both, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(_AVERAGED))
    optimiser = torch.optim.AdamW(both.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in track(range(steps), description=f"season {season}"):
        question, answer = next(batches)
        told = torch.from_numpy(question.features.astype(np.float32))
        left = torch.from_numpy(np.clip(answer, -_LARGEST_LOSS, _LARGEST_LOSS).astype(np.float32)) - path(told)
        loss = left.abs().mean() + surprise(left.detach(), errors(told)).mean() / 10
        optimiser.zero_grad()
        loss.backward()
        for network_of in (path, errors):
            torch.nn.utils.clip_grad_norm_(network_of.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        averaged.update_parameters(both)
    return {name: Network(layers_of(each)) for name, each in averaged.module.items()}


def rectified(sizes: list[int]) -> torch.nn.Sequential:
    """Layers of these widths; the last begins at zero."""
    layers = [torch.nn.Linear(inside, outside) for inside, outside in itertools.pairwise(sizes)]
    torch.nn.init.zeros_(layers[-1].weight)
    return torch.nn.Sequential(*[part for layer in layers for part in (layer, torch.nn.ReLU())][:-1])


def layers_of(parts: torch.nn.Sequential) -> list[tuple[Floats, Floats]]:
    linear = [part for part in parts if isinstance(part, torch.nn.Linear)]
    return [(part.weight.detach().numpy().T.copy(), part.bias.detach().numpy()) for part in linear]


def surprise(left: torch.Tensor, log_variances: torch.Tensor) -> torch.Tensor:
    """Negative log density (m,) of whole error paths (m, H) under Student's t with the covariance that `learnt_errors` promises."""
    steps = torch.arange(1, left.shape[1] + 1, dtype=torch.float32)
    shapes = torch.stack([torch.eye(len(steps)), torch.ones(len(steps), len(steps)), torch.minimum(steps[:, None], steps)])
    variances = log_variances.clamp(*LOG_VARIANCES).exp()
    # Given as the scale matrix of the t, which is smaller than its covariance by this factor.
    factor = torch.linalg.cholesky(torch.einsum("mk,kij->mij", variances, shapes) * (FREEDOM - 2) / FREEDOM)
    distance = torch.linalg.solve_triangular(factor, left[:, :, None], upper=False).square().sum(dim=(1, 2))
    spread = torch.diagonal(factor, dim1=1, dim2=2).log().sum(dim=1)
    return spread + (FREEDOM + len(steps)) / 2 * torch.log1p(distance / FREEDOM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--season", type=int, choices=sorted(HORIZON), required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="batches to learn from")
    parser.add_argument("--folder", type=Path, default=Path(network.__file__).parent)
    options = parser.parse_args()
    found = learn(options.season, seed=options.seed, steps=options.steps or STEPS[options.season])
    np.savez_compressed(options.folder / f"network_{options.season}.npz", **to_arrays(found))


if __name__ == "__main__":
    main()
