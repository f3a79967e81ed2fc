"""What a step of every method costs beside a step of simclr on as many views of the same images.

One process, one batch, views made beforehand, the same encoder: loss, backward and AdamW. Rounds alternate between a
method and simclr, whose step encodes the same views and compares their projections in pairs; the ratio is the median
over rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from common import arguments, images, keep
from tacit.data import Batch
from tacit.methods.base import Method
from tacit.modalities import image
from tacit.objectives.contrastive import NTXent
from tacit.parts.draws import Draws
from tacit.parts.heads import mlp
from tacit.registry import catalogue, find

SIZE = 32


class Reference(torch.nn.Module):
    """simclr on any number of views of any sizes: all are encoded and projected, the first with each other compared."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.projector = mlp([method.dim, 512, 128])
        self.objective = NTXent()

    def forward(self, batch: Batch) -> Tensor:
        embeddings = self.method.encode(*batch["views"])
        parts = self.projector(torch.cat(embeddings)).split([len(h) for h in embeddings])
        pairs = [self.objective(parts[0], part) for part in parts[1:]]
        return torch.stack(pairs).mean() if pairs else parts[0].square().mean()


def step_of(
    module: Callable[[Batch], Any], network: torch.nn.Module, batch: Batch, dtype: torch.dtype
) -> Callable[[], float]:
    """A function that trains one step and gives its seconds."""
    weights = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, 1e-4, fused=True)
    device = batch["x"].device.type

    def step() -> float:
        start = time.perf_counter()
        optimiser.zero_grad()
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            value = module(batch)
        (value["loss"] if isinstance(value, dict) else value).backward()
        optimiser.step()
        if isinstance(network, Method):
            network.after_step(0.5)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return step


def measure(name: str, x: Tensor, rounds: int, dtype: torch.dtype) -> dict[str, Any]:
    """Median step of one method in milliseconds, and its ratio to simclr's on the same views."""
    kind = find(name)
    spec = image.Spec(x.shape[1], (SIZE, SIZE), (0.5,) * x.shape[1], (0.25,) * x.shape[1])

    def build(of: type[Method]) -> Method:
        torch.manual_seed(0)
        encoder = image.make_encoder("vit" if kind.tokens else "convnet", spec).to(memory_format=torch.channels_last)
        method = of(encoder)
        method.labelled(10)
        method.sized(len(x))
        return method.to(x.device)

    index = torch.arange(len(x), device=x.device)
    batch: Batch = {"x": x, "index": index, "y": index % 10}
    method = build(kind)
    method.eval().begin(lambda: iter([batch | {"views": image.evaluation_view(spec)(batch)}]))
    method.train()
    batch["views"] = image.make_views(kind.recipe, spec)(batch, Draws.seeded(0, device=x.device))
    reference = Reference(build(find("simclr"))).to(x.device)
    pair = (step_of(method, method, batch, dtype), step_of(reference, reference, batch, dtype))
    for step in pair:
        step()
    times = [[step() for step in pair] for _ in range(rounds)]
    return {
        "method": name,
        "views": len(batch["views"]),
        "encoder": "vit" if kind.tokens else "convnet",
        "milliseconds": round(1000 * statistics.median(own for own, _ in times), 1),
        "ratio": round(statistics.median(own / other for own, other in times), 2),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--methods", nargs="*", default=[e.name for e in catalogue("method", "image")], metavar="NAME")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.from_numpy(images(options.batch)[0]).to(device)
    rows = []
    for name in options.methods:
        rows.append(measure(name, x, options.rounds, getattr(torch, options.precision)))
        print(
            "{method:24}{views:3} views {milliseconds:9.1f} ms {ratio:6.2f} x simclr  {encoder}".format(**rows[-1]),
            flush=True,
        )
    keep(options.json, {"batch": options.batch, "precision": options.precision, "rows": rows})


if __name__ == "__main__":
    main()
