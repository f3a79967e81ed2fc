"""Transitive invariance (Wang et al. 2017): what follows from tracks and look-alikes, besides both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, trained
from tacit.data import Batch
from tacit.evaluation.knn import knn_accuracy
from tacit.methods.predictive.transitive import Transitive
from tacit.modalities import image
from tacit.parts.draws import Draws, mix
from tacit.run import Run

COUNTS = {"train": 1200, "test": 500}
SIDE, EPOCHS, BATCH = 20, 32, 100
KNOWS: dict[str, Any] = {"batch_size": 100, "epochs": 12, "lr": 4e-3, "encoder.width": 16, **GENTLE}
TRIED = (
    "16 epochs, and retrieval in the embedding: 28.0 and 27.6, -0.20 [-5.53, +5.13], hardly trained; the triplets pull "
    "in the projection, which is what the paper's network gives. On another seed 48 epochs gave 46 and 42 there, and "
    "87 and 89 in the projection, where pairs of tracks alone gave 90."
)
ARMS: dict[str, dict[str, Any]] = {
    "intra": {"inter": 0.0, "transitive": 0.0},
    "inter": {"intra": 0.0, "transitive": 0.0},
    "both": {"transitive": 0.0},
    "transitive": {},
}


def tracks(part: str, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """First and last frame of a turning, shrinking digit, uint8 ``[N, 1, 20, 20]`` each, and labels.

    First frames are upright within 10 degrees and 2.4 times as large as written; last frames are turned by 90 and
    twice as large as written.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    first_test = 1287  # writers start there
    own = slice(None, first_test) if part == "train" else slice(first_test, None)
    generator = torch.Generator().manual_seed(mix(seed, list(COUNTS).index(part)))
    chosen = torch.randperm(len(labels[own]), generator=generator)[: COUNTS[part]]
    digits = torch.from_numpy(images[own]).float().view(-1, 1, 8, 8)[chosen] / 16
    frames = []
    for turn, size in ((0.0, 2.4), (math.pi / 2, 2.0)):
        angle = turn + math.radians(10) * (2 * torch.rand(len(chosen), generator=generator) - 1)
        shift = (torch.rand(len(chosen), 2, generator=generator) - 0.5) * 0.2
        cos, sin = angle.cos(), angle.sin()
        turned = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1) * SIDE / 8 / size
        theta = torch.cat((turned, shift[..., None]), 2)
        grid = functional.affine_grid(theta, [len(chosen), 1, SIDE, SIDE], align_corners=False)
        frames.append((functional.grid_sample(digits, grid, align_corners=False) * 255).round().to(torch.uint8))
    return frames[0], frames[1], labels[own][chosen.numpy()]


@experiment(
    name="transitive",
    statement="Pairs that follow from a track and a look-alike bring instances together across poses, more than both "
    "sources without them.",
    baseline="intra and inter pairs",
    method="intra, inter and transitive pairs",
    metric="10-NN accuracy of first frames among other instances' last frames, in the projection, %",
    data="1,200 tracks of digits that turn by 90° and shrink, two frames each, 500 tracks of other writers to test; "
    "look-alikes by 12 epochs of simclr on first frames",
    seeds=(0, 1, 2, 3, 4),
)
def transitive(trial: Trial) -> Result:
    first, last, y = tracks("train", trial.seed)
    test, _, y_test = tracks("test", trial.seed)
    found: dict[str, Any] = {}

    def measure(run: Run) -> None:
        spec = run.spec
        views = [image.evaluation_view(spec)({"x": x})[0]["x"] for x in (first, last, test)]
        for name, weights in ARMS.items():
            if trial.seed and name in ("intra", "inter"):
                continue
            torch.manual_seed(trial.seed)
            method = Transitive(run_encoder(run), **weights)
            train(method, views[0], views[1], trial.seed)
            method.eval()
            with torch.no_grad():
                inner = [method.encoder(view) for view in views[1:]]
                outer = [method.projector(z) for z in inner]
            for where, (bank, queries) in (("", outer), ("_embedding", inner)):
                found[name + where] = 100 * knn_accuracy(bank.numpy(), y, queries.numpy(), y_test, k=10)
            known = method.partners >= 0
            same = torch.from_numpy(y)[method.partners.clamp_min(0)] == torch.from_numpy(y)[:, None]
            found["purity"] = 100 * float(same[known].float().mean())
            found["neighbours"] = float(known.sum(1).float().mean())

    trained(first.numpy(), "simclr", measure, **KNOWS, seed=trial.seed)
    if trial.seed == 0:
        found["tried_before"] = TRIED
    return Result(found["both"], found["transitive"], found)


def run_encoder(run: Run) -> torch.nn.Module:
    """A copy of what the first training learned."""
    encoder = image.make_encoder("convnet", run.spec, width=KNOWS["encoder.width"])
    encoder.load_state_dict(run.encoder.state_dict())
    return encoder


def train(method: Transitive, first: Tensor, last: Tensor, seed: int) -> None:
    """Equal steps for every arm."""
    method.sized(len(first))

    def samples() -> Iterator[Batch]:
        for rows in torch.arange(len(first)).split(256):
            yield {"index": rows, "views": [{"x": first[rows]}]}

    method.eval().begin(samples)
    method.train()
    optimiser = torch.optim.AdamW(method.parameters(), 1e-3, weight_decay=0.05)
    steps = len(first) // BATCH
    for epoch in range(EPOCHS):
        order = method.arrange(Draws.seeded(seed, epoch).permutation(len(first)), BATCH)
        for step, rows in enumerate(order.split(BATCH)[:steps]):
            torch.manual_seed(mix(seed, epoch, step))
            optimiser.zero_grad()
            method({"index": rows, "views": [{"x": first[rows]}, {"x": last[rows]}]})["loss"].backward()
            optimiser.step()
            method.after_step((epoch * steps + step + 1) / (EPOCHS * steps))
