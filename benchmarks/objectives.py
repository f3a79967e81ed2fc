"""Time and memory of every objective, value and gradient.

Each is measured in a process of its own: the median time of a forward and backward pass, and what the process's peak
memory rises by beyond the inputs (on a GPU, what is allocated). NT-Xent is also measured at a batch whose similarities
would not fit, and in blocks at a batch where they do.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common import arguments, keep
from tacit.objectives import contrastive
from tacit.objectives.contrastive import NTXent
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.reconstruction import MaskedError
from tacit.objectives.redundancy import BarlowTwins, MixedBarlowTwins, VICReg

WIDTH, TOKENS = 128, 64


def mixed(z1: Tensor, z2: Tensor) -> Tensor:
    """The mixing objective with the third projection made of the two others."""
    partner = torch.arange(len(z1) - 1, -1, -1, device=z1.device)
    return MixedBarlowTwins()(z1, z2, 0.3 * z1 + 0.7 * z2[partner], 0.3, partner)


def masked(prediction: Tensor, target: Tensor) -> Tensor:
    """64 tokens of 2 numbers a sample, three quarters of them hidden."""
    hidden = torch.arange(TOKENS, device=prediction.device).expand(len(prediction), -1) % 4 > 0
    return MaskedError()(prediction.unflatten(1, (TOKENS, -1)), target.unflatten(1, (TOKENS, -1)), hidden)


OBJECTIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "NTXent": NTXent(),
    "BarlowTwins": BarlowTwins(),
    "MixedBarlowTwins": mixed,
    "VICReg": VICReg(),
    "NegativeCosine": NegativeCosine(),
    "MaskedError": masked,
}


def peak(device: str) -> int:
    """Most bytes held so far: by this process, or on the GPU."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def measure(name: str, batch: int, device: str, rounds: int, block: int) -> dict[str, Any]:
    contrastive.BLOCK = block
    compute = OBJECTIVES[name]

    def once(z1: Tensor, z2: Tensor) -> float:
        z1.grad = z2.grad = None
        start = time.perf_counter()
        compute(z1, z2).backward()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def inputs(rows: int) -> list[Tensor]:
        return [torch.randn(rows, WIDTH, device=device, requires_grad=True) for _ in range(2)]

    once(*inputs(64))
    z1, z2 = inputs(batch)
    before = peak(device)
    first = once(z1, z2)
    memory = peak(device) - before
    seconds = statistics.median([once(z1, z2) for _ in range(rounds)]) if rounds else first
    return {
        "objective": name,
        "batch": batch,
        "path": "blocks" if name == "NTXent" and (2 * batch) ** 2 > block else "whole",
        "milliseconds": round(1000 * seconds, 2),
        "peak_mb": round(memory / 1e6, 1),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--large", type=int, default=32768, help="batch of the large NT-Xent; 0 to leave it out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    usual = contrastive.BLOCK
    jobs = [(name, options.batch, options.device, 7, usual) for name in OBJECTIVES]
    jobs += [("NTXent", 1024, options.device, 7, block) for block in (usual, 2**20)]
    if options.large:
        jobs.append(("NTXent", options.large, options.device, 0, usual))
    rows = []
    print(f"{'objective':18} {'batch':>6} {'path':>7} {'ms':>10} {'peak MB':>9}   width {WIDTH}, {options.device}")
    for job in jobs:
        with get_context("spawn").Pool(1) as pool:
            row = pool.apply(measure, job)
        rows.append(row)
        print("{objective:18} {batch:6} {path:>7} {milliseconds:10.2f} {peak_mb:9.1f}".format(**row), flush=True)
    keep(options.json, {"width": WIDTH, "device": options.device, "rows": rows})


if __name__ == "__main__":
    main()
