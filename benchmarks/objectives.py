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
from tacit.objectives import blocks
from tacit.objectives.clustering import SwappedPrediction
from tacit.objectives.contrastive import NTXent
from tacit.objectives.debiased import Debiased, Decoupled
from tacit.objectives.dispersion import DispersiveLoss
from tacit.objectives.distillation import CrossViews
from tacit.objectives.energy import ClusterEnergy
from tacit.objectives.entropy import EffectiveEntropy
from tacit.objectives.graphs import GraphContrast
from tacit.objectives.individual import RobustGlobal
from tacit.objectives.infomax import InfoMax
from tacit.objectives.isotropy import LeJEPA
from tacit.objectives.kernel_infonce import KernelInfoNCE, SpectralContrastive
from tacit.objectives.learned import Gaussian
from tacit.objectives.ordering import GroupOrdering
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.queue_contrastive import BatchContrast, QueueContrast, SoftCosine, SymmetricContrast
from tacit.objectives.reconstruction import MaskedError
from tacit.objectives.redundancy import BarlowTwins, MixedBarlowTwins, VICReg
from tacit.objectives.relation import Relation
from tacit.objectives.rotation import GramMatching
from tacit.objectives.spanning_tree import TRegs
from tacit.objectives.supcon import SupCon
from tacit.objectives.supervisory import Augmentation
from tacit.objectives.whitening import WhitenedMSE

WIDTH, TOKENS = 128, 64


def mixed(z1: Tensor, z2: Tensor) -> Tensor:
    """The mixing objective with the third projection made of the two others."""
    partner = torch.arange(len(z1) - 1, -1, -1, device=z1.device)
    return MixedBarlowTwins()(z1, z2, 0.3 * z1 + 0.7 * z2[partner], 0.3, partner)


def masked(prediction: Tensor, target: Tensor) -> Tensor:
    """64 tokens of 2 numbers a sample, three quarters of them hidden."""
    hidden = torch.arange(TOKENS, device=prediction.device).expand(len(prediction), -1) % 4 > 0
    return MaskedError()(prediction.unflatten(1, (TOKENS, -1)), target.unflatten(1, (TOKENS, -1)), hidden)


def labels_of(z: Tensor) -> Tensor:
    """Ten classes in turn."""
    return torch.arange(len(z), device=z.device) % 10


def robust(z1: Tensor, z2: Tensor) -> Tensor:
    """Every sample at a temperature of 0.5, met for the first time."""
    tau = torch.full((len(z1),), 0.5, device=z1.device)
    return RobustGlobal()(z1, z2, tau, torch.full_like(tau, torch.inf))


def sketched(z1: Tensor, z2: Tensor) -> Tensor:
    """256 random directions, drawn once."""
    directions = torch.randn(WIDTH, 256, generator=torch.Generator().manual_seed(0)).to(z1)
    return LeJEPA()(z1, z2, directions=directions / directions.norm(dim=0))


def pairs_graph(z1: Tensor, z2: Tensor) -> Tensor:
    """The graph of two views of each sample."""
    count = len(z1)
    graph = torch.eye(count, device=z1.device).repeat(2, 2)
    return GraphContrast()(torch.cat((z1, z2)), graph.fill_diagonal_(0))


OBJECTIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Decoupled": Decoupled(),
    "Debiased": Debiased(),
    "SupCon": lambda z1, z2: SupCon()(z1, z2, labels=labels_of(z1)),
    "Relation": Relation(Augmentation(), Gaussian()),
    "KernelInfoNCE": KernelInfoNCE(),
    "SpectralContrastive": SpectralContrastive(),
    "RobustGlobal": robust,
    "GraphContrast": pairs_graph,
    "GroupOrdering": GroupOrdering(),
    "BatchContrast": BatchContrast(),
    "QueueContrast": lambda z1, z2: QueueContrast()(z1, z2, z2.detach().flip(0)),
    "SoftCosine": lambda z1, z2: SoftCosine()(z1, z2.detach()),
    "SymmetricContrast": lambda z1, z2: SymmetricContrast()(z1, z2, z2, z1, z1.detach(), z2.detach()),
    "GramMatching": GramMatching(),
    "WhitenedMSE": WhitenedMSE(256),
    "TRegs": TRegs(),
    "EffectiveEntropy": EffectiveEntropy(),
    "DispersiveLoss": lambda z1, z2: DispersiveLoss()(torch.cat((z1, z2))),
    "InfoMax": lambda z1, z2: InfoMax()(z1, z2, z1, z2),
    "LeJEPA": sketched,
    "SwappedPrediction": lambda z1, z2: SwappedPrediction()(torch.stack((z1, z2)), z2.detach().softmax(1)[None]),
    "CrossViews": lambda z1, z2: CrossViews()(torch.stack((z1, z2)), torch.stack((z2, z1)).detach().softmax(2)),
    "ClusterEnergy": lambda z1, z2: ClusterEnergy()(z1, z2, z2.detach().flip(0)),
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
    blocks.BLOCK = block
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
    usual = blocks.BLOCK
    jobs = [(name, options.batch, options.device, 7, usual) for name in OBJECTIVES]
    jobs += [("NTXent", 1024, options.device, 7, block) for block in (usual, 2**20)]
    if options.large:
        jobs.append(("NTXent", options.large, options.device, 0, usual))
    rows = []
    print(f"{'objective':20} {'batch':>6} {'path':>7} {'ms':>10} {'peak MB':>9}   width {WIDTH}, {options.device}")
    for job in jobs:
        with get_context("spawn").Pool(1) as pool:
            row = pool.apply(measure, job)
        rows.append(row)
        print("{objective:20} {batch:6} {path:>7} {milliseconds:10.2f} {peak_mb:9.1f}".format(**row), flush=True)
    keep(options.json, {"width": WIDTH, "device": options.device, "rows": rows})


if __name__ == "__main__":
    main()
