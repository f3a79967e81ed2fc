"""Two processes with half the rows each give the value and gradients of one."""

import warnings

import torch

from tacit.objectives import blocks
from tacit.objectives.debiased import Debiased, Decoupled
from tacit.objectives.individual import RobustGlobal
from tacit.objectives.kernel_infonce import KernelInfoNCE, SpectralContrastive
from tacit.objectives.learned import Cluster, Gaussian, StudentT
from tacit.objectives.relation import Relation
from tacit.objectives.retrieval import CandidateContrast
from tacit.objectives.supcon import SupCon
from tacit.objectives.supervisory import Augmentation, GaussianNeighbours, Labels, Neighbours, Pairs, Sum, Walk
from tacit.parts import ranks
from two_ranks import on_two_ranks

ROWS, WHOLE, SMALL = 8, 2**24, 8 * 16 * 3
GENERATOR = torch.Generator().manual_seed(1)
X = torch.randn(ROWS, 2, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.tensor([0, 1, 1, 0, 2, 0, 1, 3])
GRAPH = torch.rand(ROWS, ROWS, generator=GENERATOR) < 0.4
TAU = 0.1 + 0.2 * torch.rand(ROWS, generator=GENERATOR, dtype=torch.float64)
PROPAGATED = Sum([Augmentation(), Walk(Neighbours(3), 3), GaussianNeighbours(perplexity=4.0)])

OBJECTIVES = {
    "augmentation ; cosine": lambda a, b, rows: Relation(Augmentation(), Gaussian())(a, b),
    "propagated ; cluster": lambda a, b, rows: Relation(PROPAGATED, Cluster(), alpha=0.2)(a, b, features=X[rows]),
    "propagated ; student": lambda a, b, rows: Relation(PROPAGATED, StudentT(), "js")(a, b, features=X[rows]),
    "labels ; euclidean": lambda a, b, rows: Relation(Labels(), Gaussian(1.0, "euclidean"))(a, b, labels=Y[rows]),
    "pairs": lambda a, b, rows: Relation(Pairs(), Gaussian())(a, columns=b),
    "supcon out": lambda a, b, rows: SupCon(0.2)(a, b, labels=Y[rows]),
    "supcon in": lambda a, b, rows: SupCon(0.2, "in", "one")(a, b, labels=Y[rows]),
    "supcon mask": lambda a, b, rows: SupCon(0.2)(a, b, mask=GRAPH[rows]),
    "supcon alone": lambda a, b, rows: SupCon(0.2)(a, b),
    "debiased": lambda a, b, rows: Debiased(0.2)(a, b, a + b),
    "decoupled": lambda a, b, rows: Decoupled(0.2, 0.5)(a, b),
    "kernel": lambda a, b, rows: KernelInfoNCE()(a, b),
    "spectral": lambda a, b, rows: SpectralContrastive()(a, b),
    "candidates": lambda a, b, rows: CandidateContrast(0.2)(a, torch.stack((b, a.flip(1), a * b), 1), Y[rows] % 3),
    "individual": lambda a, b, rows: RobustGlobal()(a, b, TAU[rows], TAU[rows].log()),
}


def run(name, rows, block):
    blocks.BLOCK = block
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, ROWS, 4, generator=generator, dtype=torch.float64)
    views = [v[rows].clone().requires_grad_() for v in z]
    value = OBJECTIVES[name](*views, rows)
    value.backward()
    return value.detach(), [v.grad for v in views]


def check(rank, together):
    warnings.simplefilter("ignore")
    own = slice(rank * ROWS // 2, (rank + 1) * ROWS // 2)
    alone = {name: run(name, slice(0, ROWS), WHOLE) for name in OBJECTIVES}
    with together():
        for block in (WHOLE, SMALL):
            for name, (value, gradients) in alone.items():
                part, part_gradients = run(name, own, block)
                close(ranks.total(part) / 2, value, f"{name}, {block}")
                # Averaging parameters' gradients over two ranks halves what flows back into each sample.
                for found, wanted in zip(part_gradients, gradients, strict=True):
                    close(found / 2, wanted[own], f"{name}, {block}")


def close(found, wanted, name):
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10, msg=lambda text: f"{name}: {text}")


def test_two_ranks_equal_one(tmp_path):
    on_two_ranks(check, tmp_path)
