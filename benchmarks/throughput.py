"""Speed of training: the bare step, tacit end to end, and lightly's documented SimCLR loop.

In one process, with the same encoder, images and batch: (a) forward, backward and step of SimCLR on a batch that is
already there; (b) ``tacit.pretrain`` end to end: reading, views, loss, logs and watch; (c) lightly's loop as its
documentation has it; (d) the same with bf16 and channels_last. The arms take turns, so that a machine whose speed
drifts treats them alike, and ratios are medians of the rounds' ratios.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import tacit
from common import arguments, images, keep
from tacit.methods.contrastive.simclr import SimCLR
from tacit.modalities import image
from tacit.parts.draws import Draws
from tacit.tables import read_table
from tacit.training.optimisers import make_optimiser
from tacit.training.precision import channels_last, choose_precision

DEVICE = torch.device("cpu")


def spec_for(x: np.ndarray) -> image.Spec:
    return image.spec_of(image.open_source(x))


def autocast(on: bool) -> Any:
    return torch.autocast("cpu", torch.bfloat16, enabled=on)


def bare(x: np.ndarray, batch: int, steps: int, encoder: str) -> float:
    """(a) images a second of forward, backward and step on a resident batch."""
    spec = spec_for(x)
    method = SimCLR(image.make_encoder(encoder, spec)).train()
    channels_last(method.encoder, DEVICE)
    optimiser = make_optimiser(method, batch_size=batch)
    rows = {"x": torch.from_numpy(x[:batch])}
    resident = {"views": image.make_views("pair", spec)(rows, Draws.seeded(0))}
    half = choose_precision(DEVICE) == "bf16-mixed"

    def step() -> None:
        with autocast(half):
            loss = method(resident)["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    for _ in range(5):
        step()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    return steps * batch / (time.perf_counter() - began)


def tacit_end_to_end(x: np.ndarray, batch: int, steps: int, encoder: str) -> float:
    """(b) images a second of the whole loop, by its own log, after the first rows."""
    with tempfile.TemporaryDirectory() as folder:
        run = tacit.pretrain(
            x, "simclr", encoder, steps=steps + 10, batch_size=batch, out=Path(folder, "run"), quiet=True
        )
        seconds = read_table(run.folder / "speed.csv")["seconds"]
        taken = read_table(run.folder / "speed.csv")["step"]
    return (taken[-1] - taken[0]) * batch / (seconds[-1] - seconds[0])


class Pictures(torch.utils.data.Dataset[Any]):
    """The images as Pillow images in memory, as torchvision's CIFAR10 gives them."""

    def __init__(self, x: np.ndarray, transform: Any) -> None:
        self.rows, self.transform = x.transpose(0, 2, 3, 1), transform

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.transform(Image.fromarray(self.rows[index]))


def lightly_loop(x: np.ndarray, batch: int, steps: int, encoder: str, fast: bool, workers: int) -> float:
    """(c), (d): images a second of lightly's SimCLR example with the same encoder."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform

    backbone = image.make_encoder(encoder, spec_for(x))
    head = SimCLRProjectionHead(backbone.dim, 512, 128)  # type: ignore[arg-type]
    model = nn.Sequential(backbone, head)
    if fast:
        model = model.to(memory_format=torch.channels_last)
    transform = SimCLRTransform(input_size=x.shape[-1], gaussian_blur=0.0)
    loader = torch.utils.data.DataLoader(
        Pictures(x, transform), batch_size=batch, shuffle=True, drop_last=True, num_workers=workers
    )
    criterion = NTXentLoss()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.06)
    done, began = 0, 0.0
    while True:
        for x0, x1 in loader:
            first, second = x0, x1
            if fast:
                first, second = (v.to(memory_format=torch.channels_last) for v in (x0, x1))
            with autocast(fast):
                loss = criterion(model(first), model(second))
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            done += 1
            if done == 2:
                began = time.perf_counter()
            if done == steps + 2:
                return steps * batch / (time.perf_counter() - began)


def views_alone(x: np.ndarray, batch: int, rounds: int = 20) -> float:
    """Views a second of the standard recipe."""
    views = image.make_views("pair", spec_for(x))
    rows = {"x": torch.from_numpy(x[:batch])}
    views(rows, Draws.seeded(0))
    began = time.perf_counter()
    for seed in range(rounds):
        views(rows, Draws.seeded(seed))
    return 2 * rounds * batch / (time.perf_counter() - began)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40, help="steps a round of arms (a) and (b)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoder", default="convnet")
    parser.add_argument("--workers", type=int, default=8, help="of lightly's loader; its documentation has 8")
    args = parser.parse_args()
    x, data = images(5120)
    torch.manual_seed(0)
    shared = (x, args.batch_size, args.steps, args.encoder)
    peer = (x, args.batch_size, max(5, args.steps // 4), args.encoder)
    arms = {
        "a bare step": lambda: bare(*shared),
        "b tacit": lambda: tacit_end_to_end(*shared),
        "c lightly, as documented": lambda: lightly_loop(*peer, fast=False, workers=args.workers),
        "d lightly, bf16 and channels_last": lambda: lightly_loop(*peer, fast=True, workers=args.workers),
    }
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(args.rounds):
        for name, arm in arms.items():
            rates[name].append(arm())
    ratios = {
        f"b / {name[0]}": [b / other for b, other in zip(rates["b tacit"], rates[name], strict=True)]
        for name in arms
        if name != "b tacit"
    }
    views = views_alone(x, args.batch_size)
    print(f"{data}, encoder {args.encoder}, batch {args.batch_size}, {args.rounds} rounds")
    for name, values in rates.items():
        print(f"{name:36} {statistics.median(values):10,.0f} images/s   ({', '.join(f'{v:,.0f}' for v in values)})")
    for name, values in ratios.items():
        print(f"{name:36} {statistics.median(values):10.3f}            ({', '.join(f'{v:.3f}' for v in values)})")
    print(f"{'views alone':36} {views:10,.0f} views/s")
    keep(
        args.json,
        {
            "title": "Throughput of training",
            "data": data,
            "batch_size": args.batch_size,
            "encoder": args.encoder,
            "images_per_second": rates,
            "ratios": ratios,
            "views_per_second": views,
        },
    )


if __name__ == "__main__":
    main()
