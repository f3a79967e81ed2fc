"""T-REGS (Mordacq et al. 2025): a long minimum spanning tree against collapse."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained
from tacit.evaluation.geometry import uniformity
from tacit.evaluation.rankme import rankme
from tacit.objectives.spanning_tree import TReg
from tacit.run import Run

OPTIONS = {"batch_size": 128, "epochs": 8, "lr": 4e-3, "views.flip": 0.0, "hidden": 256, "out": 128}


@experiment(
    name="t-regs",
    statement="A long minimum spanning tree on the sphere keeps the embedding from collapsing, which makes it useful.",
    baseline="t-regs without the tree (gamma=0)",
    method="t-regs",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits of 14 to 19 pixels at 20×20 without clutter, 1,000 of other writers to test",
)
def t_regs(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, size=20, scale=(1.7, 2.4))
    shared = OPTIONS | {"seed": trial.seed}

    def measure(run: Run) -> dict[str, float]:
        projector = run.projector
        assert projector is not None
        with torch.no_grad():
            z = projector(torch.from_numpy(run.embed(data.test)))
        ranks = {"embedding_rank": rankme(run.embed(data.test)), "projection_rank": rankme(z)}
        return {"linear": probed(data)(run), "projection_uniformity": uniformity(z), **ranks}

    arms = {
        "without_tree": trained(data.x, "t-regs", measure, **shared, gamma=0.0),
        "t_regs": trained(data.x, "t-regs", measure, **shared),
    }
    if trial.seed == 0:
        arms["vicreg"] = trained(data.x, "vicreg", measure, **shared)
    return Result(arms["without_tree"]["linear"], arms["t_regs"]["linear"], {**arms, "points": points(trial.seed)})


def points(seed: int, count: int = 256) -> dict[str, float]:
    """Uniformity of a clump on the sphere in three dimensions after ascent: lower is more uniform."""
    generator = torch.Generator().manual_seed(seed)
    clump = torch.tensor([1.0, 0.0, 0.0]) + 0.3 * torch.randn(count, 3, generator=generator)
    tree = TReg(1.0, 10.0)

    def covariance(z: Tensor) -> Tensor:
        spread = z.T.cov()
        off = spread - torch.diag(spread.diagonal())
        return (
            10 * (z.norm(dim=1) - 1).square().mean() + (spread.diagonal() - 1 / 3).square().sum() + off.square().sum()
        )

    def after(loss: Callable[[Tensor], Tensor]) -> float:
        z = clump.clone().requires_grad_()
        optimiser = torch.optim.Adam([z], 0.03)
        for _ in range(300):
            optimiser.zero_grad()
            loss(z).backward()
            optimiser.step()
        return uniformity(z)

    return {
        "clump": uniformity(clump),
        "after_t_reg": after(tree),
        "after_covariance": after(covariance),
        "uniform_samples": uniformity(torch.randn(count, 3, generator=generator)),
    }
