"""Methods that know nothing of a kind of data, on every kind: what a training gains over raw input and random weights.

The data of each kind's demo, with its encoder, batch and learning rate, and a share of its epochs; a method that hides
tokens takes the kind's encoder of tokens. Accuracies in percent, or the kind's own score. What was measured is kept
after each run and not measured again.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

import tacit
from common import arguments, keep
from tacit.demos import ARMS, declaration
from tacit.modalities.demo import Demo
from tacit.options import parameters
from tacit.registry import find, modality_names
from tacit.run import completed

METHODS = ("simclr", "barlow-twins", "vicreg", "byol", "masked-autoencoder", "jepa")
SHORT: dict[str, Any] = {"teacher_momentum": 0.95}
"""For short trainings, where a method has such an option: the papers' values are for a thousand times more steps. A
teacher whose tokens are predicted stays slow: it would soon give what is easy to predict and says nothing."""


def options_of(declared: Demo, kind: Any) -> dict[str, Any]:
    """What of the demo's options means the same to another method."""
    groups = ["data."] + ([] if kind.tokens else ["encoder.", "views."])
    kept = {k: v for k, v in declared.options.items() if k in ("lr", "precision") or k.startswith(tuple(groups))}
    own = parameters(find(declared.method), skip=1)  # of the demo's method alone, even where its views have it too
    kept = {k: v for k, v in kept.items() if k.removeprefix("views.") not in own}
    return kept | {f"method.{k}": v for k, v in SHORT.items() if k in parameters(kind, skip=1) and not kind.tokens}


def trained(name: str, modality: str, seed: int, share: float) -> dict[str, Any]:
    """One cell: a training and its evaluation."""
    declared, kind = declaration(modality), find(name)
    train, test = declared.data(seed)
    epochs = max(1, round(share * declared.epochs))
    with tempfile.TemporaryDirectory() as folder:
        run = completed(tacit.pretrain(
            train, name, None if kind.tokens else declared.encoder, epochs=epochs, batch_size=declared.batch_size,
            out=Path(folder, "run"), seed=seed, views=None if kind.tokens else declared.views, modality=modality,
            quiet=True, options=options_of(declared, kind),
        ))  # fmt: skip
        found = tacit.evaluate(run, train, test, seed=seed)
        summary = run.summary
        encoder = run.config["encoder"]["name"]
    if "score" in found:
        shown: dict[str, Any] = {found["metric"]: {arm: round(found["score"][arm]["value"], 4) for arm in ARMS}}
    else:
        shown = {m: {arm: round(100 * found[m][arm]["accuracy"], 1) for arm in ARMS} for m in ("knn", "linear")}
    return {
        "modality": modality,
        "method": name,
        "seed": seed,
        "share": share,
        "encoder": encoder,
        "scores": shown,
        "seconds": round(summary["seconds"], 1),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--modality", nargs="*", default=modality_names(), metavar="KIND")
    parser.add_argument("--methods", nargs="*", default=METHODS, metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--share", type=float, default=0.2, help="of the demo's epochs")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.json and options.json.exists():
        rows = json.loads(options.json.read_text())["rows"]
    done = {(row["modality"], row["method"], row["seed"], row["share"]) for row in rows}
    for seed in options.seeds:
        for modality in options.modality:
            for name in options.methods:
                if (modality, name, seed, options.share) in done:
                    continue
                row = trained(name, modality, seed, options.share)
                rows.append(row)
                keep(options.json, {"threads": torch.get_num_threads(), "rows": rows})
                print(f"{modality:12} {name:20} {row['scores']}  {row['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
