"""Every image method on scattered digits with one budget: k-NN, linear probe, RankMe and seconds.

The same data, batch, number of epochs, learning rate and optimiser for all; encoders are the small conv net, or the
small ViT where a method needs tokens. What was measured is kept after each run and not measured again.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch

import tacit
from common import arguments, keep
from tacit.modalities.image.synthetic import scattered_digits
from tacit.options import parameters
from tacit.registry import catalogue, find
from tacit.run import completed

TRAIN, TEST = 2000, 1000
DIGITS: dict[str, Any] = {"size": 20, "clutter": 5, "scenes": 64, "scale": (1.7, 2.2)}
OPTIONS: dict[str, Any] = {"lr": 4e-3, "batch_size": 64}
VIEWS = {"views.flip": 0.0, "views.turn": 15.0, "views.overlay": 4, "views.crop_scale": (0.4, 1.0)}
"""As in the demo: digits are not to be mirrored, and clutter that changes from view to view cannot stand for them."""
CONVNET = {"encoder.width": 24}
SHORT: dict[str, Any] = {"teacher_momentum": 0.9, "queue": 1024}
"""For short trainings, where a method has such an option: the papers' values are for a thousand times more steps."""
SLOW = {"teacher_momentum": 0.99}
"""Where a queue keeps keys of earlier steps, or a centre follows a teacher's scores: a teacher that moves faster leaves
them behind, and training collapses. And where tokens are predicted: a teacher that moves faster soon gives what is easy
to predict and says nothing."""
TOKENS = {"encoder.patch": 4, "encoder.width": 64, "encoder.depth": 3, "encoder.heads": 2, "lr": 2e-3}


def methods() -> list[str]:
    """Whatever trains on images without colour, with labels or without."""
    rows = [*catalogue("method", "image"), *catalogue("adaptation", "image")]
    return [row.name for row in rows if row.name != "colorization"]


def trained(name: str, seed: int, epochs: int) -> dict[str, Any]:
    """One training and its evaluation: accuracies in percent."""
    kind = find(name)
    parts = (("train", TRAIN), ("test", TEST))
    train, test = (scattered_digits(part, count=n, seed=seed, **DIGITS) for part, n in parts)
    known = parameters(kind, skip=1)
    short = SHORT | (SLOW if kind.tokens or {"queue", "centre_momentum"} & known.keys() else {})
    options = OPTIONS | {f"method.{k}": v for k, v in short.items() if k in known}
    if kind.tokens:
        options |= TOKENS
    elif not kind.preferred:
        options |= CONVNET
    if kind.recipe != "plain":
        options |= VIEWS
    learn = tacit.adapt if any(e.name == name for e in catalogue("adaptation")) else tacit.pretrain
    with tempfile.TemporaryDirectory() as folder:
        encoder = None if kind.tokens or kind.preferred else "convnet"
        run = completed(
            learn(train, name, encoder, epochs=epochs, out=Path(folder, "run"), seed=seed, quiet=True, options=options)
        )
        found = tacit.evaluate(run, train, test, k=10)
        summary = run.summary
        shown = {m: {n: round(100 * v["accuracy"], 2) for n, v in found[m].items()} for m in ("knn", "linear")}
        return {
            "method": name,
            "seed": seed,
            "epochs": epochs,
            "encoder": run.config["encoder"]["name"],
            **shown,
            "rankme": {n: round(v, 1) for n, v in found["rankme"].items()},
            "verdict": summary["verdict"]["state"],
            "seconds": round(summary["seconds"], 1),
        }


def show(rows: list[dict[str, Any]]) -> None:
    """A line a method: means over the seeds."""
    print(
        f"{'method':24}{'k-NN raw':>9}{'random':>8}{'trained':>9}{'linear raw':>12}{'random':>8}{'trained':>9}{'s':>7}"
    )
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        means = [
            statistics.mean(row[metric][of] for row in own)
            for metric in ("knn", "linear")
            for of in ("raw", "random", "trained")
        ]
        seconds = min(row["seconds"] for row in own)
        print(
            f"{name:24}{means[0]:9.1f}{means[1]:8.1f}{means[2]:9.1f}{means[3]:12.1f}{means[4]:8.1f}{means[5]:9.1f}{seconds:7.0f}"
        )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--methods", nargs="*", default=methods(), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=24)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.json and options.json.exists():
        rows = json.loads(options.json.read_text())["rows"]
    done = {(row["method"], row["seed"], row["epochs"]) for row in rows}
    for seed in options.seeds:
        for name in options.methods:
            if (name, seed, options.epochs) in done:
                continue
            row = trained(name, seed, options.epochs)
            rows.append(row)
            keep(options.json, {"train": TRAIN, "test": TEST, "threads": torch.get_num_threads(), "rows": rows})
            print(f"{name:24} seed {seed}  k-NN {row['knn']}  linear {row['linear']}  {row['seconds']} s", flush=True)
    show(rows)


if __name__ == "__main__":
    main()
