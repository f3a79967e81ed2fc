"""T-REGS (Mordacq et al. 2025): a long minimum spanning tree against collapse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, probed, trained, untrained
from tacit.evaluation.geometry import uniformity
from tacit.evaluation.rankme import rankme
from tacit.objectives.spanning_tree import TReg
from tacit.run import Run

OPTIONS: dict[str, Any] = {
    "batch_size": 128, "epochs": 12, "lr": 1e-2, "encoder.width": 16, "hidden": 256, "out": 64, **GENTLE,
}  # fmt: skip
WEIGHTS: dict[str, Any] = {"beta": 0.2, "gamma": 1.0, "lambda_": 10.0}


@experiment(
    name="t-regs",
    statement="A long minimum spanning tree on the sphere keeps the embedding from collapsing, which makes it useful.",
    baseline="t-regs without the tree (gamma=0)",
    method="t-regs",
    metric="linear probe accuracy, %",
    data="1,500 scattered digits of 15 to 20 pixels at 20×20 without clutter, 2,000 of other writers to test",
    seeds=(0, 1, 2, 3, 4),
)
def t_regs(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=2000, size=20, scale=(1.9, 2.5))
    shared = OPTIONS | {"seed": trial.seed}

    def measure(run: Run) -> dict[str, float]:
        projector = run.projector
        assert projector is not None
        with torch.no_grad():
            z = projector(torch.from_numpy(run.embed(data.test)))
        ranks = {"embedding_rank": rankme(run.embed(data.test)), "projection_rank": rankme(z)}
        return {"linear": probed(data)(run), "projection_uniformity": uniformity(z), **ranks}

    arms = {
        "without_tree": trained(data.x, "t-regs", measure, **shared, **(WEIGHTS | {"gamma": 0.0})),
        "t_regs": trained(data.x, "t-regs", measure, **shared, **WEIGHTS),
    }
    if trial.seed == 0:
        arms["vicreg"] = trained(data.x, "vicreg", measure, **shared)
        arms["untrained"] = trained(data.x, "vicreg", untrained(data), **(shared | {"epochs": 1}))
        arms["points"] = points(trial.seed)
    return Result(arms["without_tree"]["linear"], arms["t_regs"]["linear"], arms)


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
