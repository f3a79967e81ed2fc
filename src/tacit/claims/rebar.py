"""REBAR (Xu et al. 2024): positives that a stretch is best restored from, against noisy copies of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.evaluation.probe import linear_probe
from tacit.methods.contrastive.rebar import REBAR
from tacit.modalities.series.synthetic import regimes
from tacit.parts.draws import Draws
from tacit.parts.retrieval import cut, elsewhere
from tacit.run import Run

RECORDINGS, STEPS, STRETCH = 160, 768, 64
COMMON: dict[str, Any] = {
    "batch_size": 32, "lr": 2e-3, "precision": "32-true", "watch_every": 1000, "modality": "series",
    "encoder": "tcn", "encoder.width": 32, "encoder.depth": 6, "encoder.dim": 64,
}  # fmt: skip
OWN: dict[str, Any] = {
    "length": STRETCH, "candidates": 8, "share": 0.5, "retriever_epochs": 20, "retriever_width": 32,
    "retriever_lr": 3e-3,
}  # fmt: skip
EPOCHS = 40


@experiment(
    name="rebar",
    statement="An encoder whose positives are the stretches that an anchor is best restored from tells regimes of a "
    "recording better than one whose positives are noisy copies of the anchor.",
    baseline="simclr on jitter and scaling of the same stretches, same encoder and number of steps",
    method="rebar",
    metric="linear-probe accuracy for the regime of a stretch, %",
    data="160 made-up recordings of 768 steps that switch between four regimes, 80 others to test; stretches of 64",
)
def rebar(trial: Trial) -> Result:
    x, kinds = regimes(RECORDINGS, 2 * trial.seed, length=STEPS)
    pieces = [_pieces(*regimes(n, 2 * trial.seed + 1 - i, length=STEPS)) for i, n in ((1, RECORDINGS), (0, 80))]
    (fit, y), (test, y_test) = pieces

    def probed(run: Run) -> dict[str, float]:
        spaces = {"trained": run.encoder, "random encoder": run.random_encoder()}
        found = {}
        for name, encoder in spaces.items():
            one, other = (torch.cat(list(run.stream(run.open(part), encoder))) for part in (fit, test))
            found[name] = 100 * linear_probe(one, y, other, y_test, seed=trial.seed).accuracy
        return found

    def measure(run: Run) -> dict[str, float]:
        return probed(run) | _same(run, x, kinds)

    common = COMMON | {"seed": trial.seed}
    own = trained(x, "rebar", measure, **common | OWN | {"epochs": EPOCHS})
    steps = EPOCHS * RECORDINGS // COMMON["batch_size"]
    noise = {"views.crop": 0.0, "views.time-mask": 0.0, "views.jitter": 1.0, "views.scaling": 1.0, "temperature": 0.1}
    copies = trained(fit, "simclr", probed, **common | noise | {"steps": steps, "views.jitter.sigma": 0.3})
    beside = trained(
        x, "simclr", probed, views="neighbours", **common | {"epochs": EPOCHS, "views.share": STRETCH / STEPS}
    )
    notes = {key: value for key, value in own.items() if key != "trained"}
    return Result(copies["trained"], own["trained"], notes | {"simclr on neighbouring stretches": beside["trained"]})


def _pieces(x: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stretches side by side, and the regime that most of each is in."""
    cut_up = x.reshape(len(x), x.shape[1], -1, STRETCH).transpose(0, 2, 1, 3).reshape(-1, x.shape[1], STRETCH)
    counts = (kinds.reshape(-1, STRETCH)[:, :, None] == np.arange(4)).sum(1)
    return np.ascontiguousarray(cut_up), counts.argmax(1)


def _same(run: Run, x: np.ndarray, kinds: np.ndarray) -> dict[str, float]:
    """How often the nearest of eight candidates is in the anchor's regime, in percent, by several distances."""
    method = run.method
    assert isinstance(method, REBAR)
    view = run.evaluation_view()(run.open(x).batch(torch.arange(len(x))))[0]["x"]
    length, draws = torch.full((len(x),), STEPS), Draws.seeded(0)
    hits: dict[str, list[float]] = {name: [] for name in ("REBAR", "sliding squared error", "correlation", "any")}
    for _ in range(5):
        start = (draws.uniform(len(x)) * (STEPS - STRETCH + 1)).long()
        places = elsewhere(length, start, STRETCH, method.candidates, draws)
        anchor, others = cut(view, start[:, None], STRETCH), cut(view, places, STRETCH)
        truth = torch.from_numpy(kinds)
        middle = STRETCH // 2
        right = truth.gather(1, places + middle) == truth.gather(1, start[:, None] + middle)
        flat = [(s - s.mean(3, keepdim=True)) / s.std(3, keepdim=True).clamp_min(1e-3) for s in (anchor, others)]
        lags = torch.stack([(flat[0] - flat[1].roll(lag, 3)).square().mean((2, 3)) for lag in range(STRETCH)])
        distances = {
            "REBAR": method.distances(anchor[:, 0], others, draws),
            "sliding squared error": lags.amin(0),
            "correlation": -(flat[0] * flat[1]).mean((2, 3)),
        }
        hits["any"].append(float(right.float().mean()))
        for name, distance in distances.items():
            hits[name].append(float(right.gather(1, distance.argmin(1)[:, None]).float().mean()))
    return {f"nearest by {name} is of its regime": 100 * float(np.mean(rows)) for name, rows in hits.items()}
