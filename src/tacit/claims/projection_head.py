"""The projection head (Xue et al. 2024): what the layers before it keep that it does not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import GENTLE, digits, linear_r2, tinted, trained
from tacit.evaluation.knn import knn_accuracy
from tacit.methods.contrastive.simclr import SimCLR
from tacit.parts.reweight import ReweightHead
from tacit.run import Run

OPTIONS: dict[str, Any] = {
    "batch_size": 128, "epochs": 10, "lr": 4e-3, "encoder.width": 16, **GENTLE, "views.hue": 0.5,
    "views.gray": 0.0,
}  # fmt: skip


class Fixed(SimCLR):
    """SimCLR with a fixed head in place of the learned one; kappa = 1 is no head."""

    def __init__(self, encoder: nn.Module, *, kappa: float = 0.98) -> None:
        super().__init__(encoder)
        self.projector = ReweightHead(self.dim, kappa)


@experiment(
    name="projection-head",
    statement="What the views destroy, here the hue, is read better before the projection head than after.",
    baseline="simclr, projection",
    method="simclr, embedding",
    metric="R² of the hue, linear",
    data="1,500 scattered digits of 15 to 20 pixels at 20×20 in a random hue, 1,000 of other writers to test; views of "
    "any hue",
    seeds=(0, 1, 2, 3, 4),
)
def projection_head(trial: Trial) -> Result:
    data = digits(trial.seed, train=1500, test=1000, size=20, scale=(1.9, 2.5))
    (x, _), (test, hue) = tinted(data.x, trial.seed), tinted(data.test, trial.seed + 1)

    def measure(run: Run) -> dict[str, float]:
        spaces = {"embedding": [torch.from_numpy(run.embed(part)) for part in (x, test)]}
        with torch.no_grad():
            head = run.method.projector
            assert head is not None
            spaces["projection"] = [head(h) for h in spaces["embedding"]]
        found: dict[str, float] = {}
        for name, (train, tested) in spaces.items():
            found[f"{name}_hue_r2"] = linear_r2(tested, hue)
            found[f"{name}_digit_knn"] = 100 * knn_accuracy(train, data.y, tested, data.y_test, k=10)
        return found

    shared = OPTIONS | {"seed": trial.seed}
    learned = trained(x, "simclr", measure, **shared)
    notes: dict[str, Any] = {"learned_head": learned}
    if trial.seed == 0:
        notes["linear_theory"] = theory(trial.seed)
        for name, kappa in (("no_head", 1.0), ("reweighting_head", 0.98)):
            notes[name] = trained(x, Fixed, measure, **shared, kappa=kappa)
    return Result(learned["projection_hue_r2"], learned["embedding_hue_r2"], notes)


def theory(seed: int) -> dict[str, float]:
    """Largest relative error of the weights that the linear theory predicts, against gradient descent, by depth."""
    strength = torch.linspace(0.6, 1.6, 6, dtype=torch.float64)
    noise = torch.tensor([1.2, 0.0, 0.6, 0.3, 0.9, 0.15], dtype=torch.float64)
    errors: dict[str, float] = {}
    for depth in (2, 3):
        for layer, found in enumerate(descended(strength, noise, depth, seed), 1):
            wanted = weights(strength, noise, layer, depth)
            errors[f"depth {depth}, after layer {layer}"] = float(((found - wanted) / wanted).abs().max())
    return errors


def weights(strength: Tensor, noise: Tensor, layer: int, depth: int) -> Tensor:
    """Each feature's weight after a layer of a balanced linear network that minimises the spectral contrastive loss.

    A feature of which the views keep ``strength`` and change ``noise`` has ``(s / (s^2 + n^2)) ** (layer / depth)``.
    """
    return (strength / (strength.square() + noise.square())) ** (layer / depth)


def descended(
    strength: Tensor, noise: Tensor, depth: int, seed: int, steps: int = 20000, rate: float = 5e-3
) -> list[Tensor]:
    """The weight of each feature after each layer of a linear network, by gradient descent on the population's loss
    ``-2 tr(A M) + tr(A S A S)``, ``A = W^T W``, from a balanced start of scaled random rotations."""
    generator = torch.Generator().manual_seed(seed)
    width = len(strength)
    layers = [
        0.3 * torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))[0]
        for _ in range(depth)
    ]
    kept = torch.diag(strength.square())
    moment = kept + torch.diag(noise.square())

    def product(parts: list[Tensor]) -> Tensor:
        whole = torch.eye(width, dtype=torch.float64)
        for part in parts:
            whole = part @ whole
        return whole

    for _ in range(steps):
        whole = product(layers)
        slope = 4 * whole @ (moment @ whole.T @ whole @ moment - kept)
        steepest = [product(layers[i + 1 :]).T @ slope @ product(layers[:i]).T for i in range(depth)]
        layers = [part - rate * step for part, step in zip(layers, steepest, strict=True)]
    return [product(layers[:i]).square().sum(0).sqrt() for i in range(1, depth + 1)]
