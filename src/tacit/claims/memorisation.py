"""Memorisation (Wang et al. 2024): views of a sample lie together more closely in encoders that were trained on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, trained
from tacit.evaluation.memorisation import memorisation as memorised
from tacit.evaluation.memorisation import scatter_of_views
from tacit.methods.base import embed
from tacit.parts.draws import Draws
from tacit.run import Run

SHARED, OTHERS, ODD, VIEWS, PAIRS = 100, 50, 8, 10, 2
OPTIONS: dict[str, Any] = {
    "batch_size": 75, "epochs": 150, "lr": 4e-3, "encoder": "convnet", "encoder.width": 16, "views.flip": 0.0,
}  # fmt: skip
GROUPS = ("shared", "candidates", "independent", "external")


@experiment(
    name="memorisation",
    statement="Candidates are memorised: their views lie closer together in encoders that were trained on them.",
    baseline="shared samples, which both encoders saw",
    method="candidates, which one of them saw",
    metric="mean memorisation score, thousandths",
    data="SimCLR for 150 epochs on 100 shared scattered digits and 50 candidates or 50 independent ones; 2 pairs",
)
def memorisation(trial: Trial) -> Result:
    data = digits(trial.seed, train=SHARED + 3 * OTHERS, test=10, size=20, scale=(1.8, 2.4))
    images, sizes = data.x.copy(), (SHARED, OTHERS, OTHERS, OTHERS)
    names = np.repeat(GROUPS, sizes)
    odd = np.flatnonzero(names == "candidates")[:ODD]
    images[odd] = 255 - images[odd]  # inverted: unlike all others
    inside: list[np.ndarray] = []
    outside: list[np.ndarray] = []
    for pair in range(PAIRS):
        for added, scatters in (("candidates", inside), ("independent", outside)):
            chosen = images[np.isin(names, ("shared", added))]
            seed = 100 * trial.seed + pair
            scatters.append(trained(chosen, "simclr", lambda run: scatter(run, images), **OPTIONS, seed=seed))
    found = memorised(inside, outside, names, seed=trial.seed)
    typical = np.setdiff1d(np.flatnonzero(names == "candidates"), odd)
    notes = {
        "groups": found.groups,
        "offset": found.offset,
        "remarks": list(found.notes),
        "atypical_candidates": 1000 * float(found.scores[odd].mean()),
        "typical_candidates": 1000 * float(found.scores[typical].mean()),
        "scatter_of_shared": float(np.mean(np.array(inside)[:, names == "shared"])),
    }
    means = {name: 1000 * found.groups[name]["mean"] for name in GROUPS}
    return Result(means["shared"], means["candidates"], notes)


def scatter(run: Run, images: np.ndarray) -> np.ndarray:
    """How far views of each image lie from it, with the same views for every encoder."""
    source, plain, views = run.open(images), run.evaluation_view(), run.training_views()
    batch = source.batch(torch.arange(len(source)))
    with torch.inference_mode():
        anchor = embed(run.encoder, plain(batch)[0])
        drawn = [embed(run.encoder, views(batch, Draws.seeded(7, i))[0]) for i in range(VIEWS)]
    return scatter_of_views(anchor, torch.stack(drawn, 1))
