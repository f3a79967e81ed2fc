"""RTT (Jenni et al. 2020): temporal transformations and speeds told together, against speeds alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import trained
from tacit.evaluation.probe import linear_probe
from tacit.methods.predictive.rtt import RTT
from tacit.modalities.video.playback import PLAYED
from tacit.modalities.video.synthetic import Sprites, drifting_sprites
from tacit.modalities.video.views import make_views
from tacit.parts.draws import Draws
from tacit.run import Run

TRAIN, TEST = 800, 500
FRAMES, WINDOW = 8, 32
SPEEDS = 3
DIRECTIONS = 4
STEPS = 220
OPTIONS: dict[str, Any] = {
    "steps": STEPS, "batch_size": 12, "lr": 6e-3, "encoder.width": 12, "data.frames": FRAMES, "data.window": WINDOW,
    "views.speeds": SPEEDS, "method.speeds": SPEEDS, "precision": "32-true", "watch_every": 1000,
    # the direction is what is probed for
    "views.flip": 0.0,
}  # fmt: skip


@experiment(
    name="rtt",
    statement="Telling temporal transformations and speeds together gives embeddings that know more of motion than "
    "telling speeds alone.",
    baseline="speeds alone",
    method="rtt: transformations and speeds",
    metric="linear-probe accuracy for direction and speed (8 classes), %",
    data="800 drifting sprites of 24x24 pixels and 32 frames to train on, 500 to test",
)
def rtt(trial: Trial) -> Result:
    train, test = (
        drifting_sprites(count, 2 * trial.seed + part, frames=WINDOW, directions=DIRECTIONS)
        for part, count in enumerate((TRAIN, TEST))
    )

    def arm(tasks: str) -> dict[str, Any]:
        return trained(
            train.x, "rtt", lambda run: measure(run, tasks), encoder="r3d", seed=trial.seed, modality="video",
            **OPTIONS | {"method.tasks": tasks},
        )  # fmt: skip

    def measure(run: Run, tasks: str) -> dict[str, Any]:
        found: dict[str, Any] = {"score": probed(run, train, test, trial.seed)}
        if tasks == "both":
            found["random encoder"] = probed(run, train, test, trial.seed, run.random_encoder())
            found["told apart, %"] = told_apart(run, test)
        return found

    arms = {tasks: arm(tasks) for tasks in ("speed", "both")}
    notes = {name: value for name, value in arms["both"].items() if name != "score"}
    if trial.seed == 0:
        notes["transformations alone"] = arm("transformation")["score"]
    return Result(arms["speed"]["score"], arms["both"]["score"], notes)


def probed(run: Run, train: Sprites, test: Sprites, seed: int, encoder: torch.nn.Module | None = None) -> float:
    """Accuracy for the class of motion, in percent."""
    spaces = [torch.cat(list(run.stream(run.open(part.x), encoder))) for part in (train, test)]
    return 100 * linear_probe(spaces[0], train.motion, spaces[1], test.motion, seed=seed).accuracy


def told_apart(run: Run, test: Sprites) -> dict[str, float]:
    """How many of the held-out clips of each temporal transformation are recognised, in percent."""
    method, source = run.method.eval(), run.open(test.x)
    assert isinstance(method, RTT)
    assert method.played is not None
    views = make_views("temporal-transformations", run.spec, speeds=SPEEDS, flip=0.0)
    right = np.zeros(len(PLAYED))
    for batch in source.batches(200):
        with torch.no_grad():
            for way, view in enumerate(views(batch, Draws.seeded(way_seed(batch)))):
                right[way] += float((method.played(method.encoder(view["x"])).argmax(1) == way).sum())
    return {name: 100 * float(share) for name, share in zip(PLAYED, right / len(source), strict=True)}


def way_seed(batch: dict[str, Any]) -> int:
    """A seed of its own for each batch of the test."""
    return int(batch["index"][0])
