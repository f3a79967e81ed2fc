"""ResNet-18 on CIFAR-10: speed and accuracy of simclr, barlow-twins and byol.

Trains on the CIFAR-10 half in ``TACIT_DATA`` with the small-image stem, and reports images a second, the share of the
bare step, k-NN and linear accuracy, and minutes. Meant for a GPU; with ``--encoder convnet --epochs 2`` it runs
anywhere.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import tacit
from common import arguments, cifar10, keep
from tacit.errors import DataError
from tacit.modalities import image
from tacit.parts.draws import Draws
from tacit.registry import find
from tacit.tables import read_table
from tacit.training.optimisers import make_optimiser
from tacit.training.precision import channels_last, choose_precision


def bare(x: Any, method_name: str, encoder: str, batch: int, steps: int = 30) -> float:
    """Images a second of forward, backward and step of the method on a batch that is already on the device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    spec = image.spec_of(image.open_source(x))
    kind = find(method_name, "method")
    method = kind(image.make_encoder(encoder, spec)).to(device).train()
    channels_last(method.encoder, device)
    optimiser = make_optimiser(method, batch_size=batch)
    rows = {"x": torch.from_numpy(x[:batch]).to(device)}
    resident = {"views": image.make_views(kind.recipe, spec)(rows, Draws.seeded(0, device=device))}
    half = choose_precision(device) == "bf16-mixed"
    for step in range(steps + 5):
        if step == 5:
            if device.type == "cuda":
                torch.cuda.synchronize()
            began = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = method(resident)["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return steps * batch / (time.perf_counter() - began)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--methods", default="simclr,barlow-twins,byol")
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    train, test = cifar10("train"), cifar10("test")
    if train is None or test is None:
        raise DataError("set TACIT_DATA to the folder that holds cifar10-train.tar and cifar10-test.tar")
    rows = []
    for name in args.methods.split(","):
        alone = bare(train[0], name, args.encoder, args.batch_size)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run = tacit.pretrain(
                train[0], name, args.encoder, epochs=args.epochs, batch_size=args.batch_size,
                seed=args.seed, out=Path(folder, "run"),
            )  # fmt: skip
            minutes = (time.perf_counter() - began) / 60
            rate = statistics.median(read_table(run.folder / "speed.csv")["samples_per_second"])
            result = tacit.evaluate(run, train, test)
        accuracy = {key: 100 * result[key]["trained"]["accuracy"] for key in ("knn", "linear")}
        rows.append({"method": name, "images_per_second": rate, "bare": alone, "minutes": minutes, **accuracy})
        print(
            f"{name:16} {rate:9,.0f} images/s  {rate / alone:6.1%} of the bare step  k-NN {accuracy['knn']:.1f}  "
            f"linear {accuracy['linear']:.1f}  {minutes:.1f} min"
        )
    settings = {key: getattr(args, key) for key in ("encoder", "epochs", "batch_size", "seed")}
    keep(
        args.json,
        {"title": "CIFAR-10", "data": "25,000 training and 5,000 test images", **settings, "rows": rows},
    )


if __name__ == "__main__":
    main()
