"""HuBERT (Hsu et al. 2021): clusters of an encoder's states as targets, against clusters of cepstra."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import mutual_info_score

from tacit import api
from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.spoken import DATA, RATE, Spoken, probed, spoken_digits
from tacit.methods.clustering.hubert import HuBERT
from tacit.run import Run, completed

OPTIONS: dict[str, Any] = {
    "encoder.width": 64, "encoder.depth": 2, "encoder.heads": 2, "encoder.filters": 32, "batch_size": 16, "lr": 1e-3,
    "precision": "32-true", "watch_every": 1000, "data.rate": RATE,
    "method.span": 4, "method.sampled": 10_000, "method.share": 0.6,
}  # fmt: skip
"""Spans are shorter than the paper's 10 tokens of 20 ms: a digit has 20 of them."""
STEPS = 250


@experiment(
    name="hubert",
    statement="An encoder that predicts clusters of an earlier encoder's states is better than one that predicts "
    "clusters of cepstra.",
    baseline="first iteration (32 clusters of cepstra)",
    method="second iteration (64 clusters of the first one's states)",
    metric="linear-probe accuracy for the digit, %",
    data=DATA,
)
def hubert(trial: Trial) -> Result:
    data = spoken_digits(trial)
    with tempfile.TemporaryDirectory() as folder:
        first = _iteration(data, trial.seed, Path(folder, "first"), 32)
        notes = {
            "random encoder": probed(data, first, trial.seed, random=True),
            "nats that cepstral clusters tell of the digit": _told(data, first),
        }
        baseline = probed(data, first, trial.seed)
        second = _iteration(data, trial.seed, Path(folder, "second"), 64, start=str(first.folder))
        notes["nats that clusters of states tell of the digit"] = _told(data, second)
        return Result(baseline, probed(data, second, trial.seed), notes)


def _iteration(data: Spoken, seed: int, out: Path, clusters: int, **options: Any) -> Run:
    options = {f"method.{name}": value for name, value in options.items()} | {"method.clusters": clusters}
    return completed(api.pretrain(
        data.x, "hubert", "waveform", out=out, seed=seed, steps=STEPS, modality="audio", quiet=True,
        options={**OPTIONS, **options},
    ))  # fmt: skip


@torch.no_grad()
def _told(data: Spoken, run: Run) -> float:
    """Mutual information of a token's cluster and the digit it is of, in 500 recordings."""
    source, view, method = run.open(data.test), run.evaluation_view(), run.method
    assert isinstance(method, HuBERT)
    clusters, digits = [], []
    for batch in source.batches(128):
        seen = view(batch)[0]
        _, valid = method.features(seen)
        clusters.append(method.labels(seen)[valid].numpy())
        digits.append(np.repeat(data.y_test[batch["index"].numpy()], valid.sum(1).numpy()))
    return float(mutual_info_score(np.concatenate(digits), np.concatenate(clusters)))
