"""Debiased contrastive learning (Chuang et al. 2020): the estimate of the mean over true negatives."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from tacit.claims.harness import Result, Trial, experiment
from tacit.claims.small import digits, probed, trained, untrained
from tacit.data import Batch
from tacit.methods.contrastive.debiased import Debiased as Method
from tacit.objectives.contrastive import unit_views
from tacit.objectives.debiased import Debiased

CLASSES, WIDTH, SPREAD, TEMPERATURE, ANCHORS, DRAWS = 10, 8, 0.25, 0.5, 30, 200
OPTIONS = {
    "batch_size": 128, "epochs": 25, "lr": 3e-3, "encoder.width": 24, "hidden": 256, "out": 64, "views.flip": 0.0,
    "views.crop_scale": (0.4, 1.0),
}  # fmt: skip
PRACTICE = 3
"""Seeds with which encoders are trained too."""


class Oracle(Method):
    """The same with the labels known: samples of the anchor's class are no negatives."""

    uses_labels: ClassVar[bool] = True

    def loss(self, batch: Batch) -> Tensor:
        u = unit_views(self.project(*batch["views"]), TEMPERATURE).flatten(0, 1).float()
        y = batch["y"].repeat_interleave(2)
        same = y[:, None] == y
        found = u @ u.T
        negatives = 2 * len(batch["y"]) - 2
        # As many negatives as before: the mean over the true ones stands for each.
        true = found.masked_fill(same, -torch.inf).logsumexp(1) - (~same).sum(1).clamp_min(1).log()
        positive = found.diagonal(1)[::2].repeat_interleave(2)
        return functional.softplus(true + torch.tensor(float(negatives)).log() - positive).mean()


@experiment(
    name="debiased",
    statement="With the class prior known, debiasing brings the mean over negatives nearer to that over true ones.",
    baseline="mean over all samples (tau_plus=0)",
    method="debiased estimate (tau_plus=0.1)",
    metric="mean bias over anchors, % of the true mean",
    better="lower",
    data="a mixture of 10 classes on a sphere of 8 dimensions, 254 unlabelled samples and 1 positive, t=0.5",
    seeds=(0, 1, 2, 3, 4),
)
def debiased(trial: Trial) -> Result:
    torch.manual_seed(trial.seed)
    centres = functional.normalize(torch.randn(CLASSES, WIDTH), dim=1)
    naive, corrected = (bias(centres, tau, 254, 1) for tau in (0.0, 1 / CLASSES))
    sizes = {f"N={n}, M={m}": error(centres, n, m) for n, m in ((30, 1), (254, 1), (254, 8), (1022, 8))}
    notes: dict[str, Any] = {"mean_absolute_error_debiased_%": sizes}
    if trial.seed < PRACTICE:
        notes["linear_probe_on_scattered_digits_%"] = practice(trial.seed)
    return Result(naive, corrected, notes)


def practice(seed: int) -> dict[str, float]:
    """Linear-probe accuracies in percent of trainings with and without the correction, and with labels known."""
    data = digits(seed, train=1000, test=2000, scale=(1.8, 2.6))
    probe: dict[str, float] = {
        name: trained(data.x, "debiased", probed(data), **OPTIONS, tau_plus=tau, seed=seed)
        for name, tau in (("biased", 0.0), ("debiased_0.1", 0.1))
    }
    probe["oracle"] = trained((data.x, data.y), Oracle, probed(data), **OPTIONS, seed=seed)
    if seed == 0:
        probe |= trained(data.x, "debiased", untrained(data), **(OPTIONS | {"epochs": 1}))
    return probe


def drawn(centres: Tensor, classes: Tensor) -> Tensor:
    """A sample of each class: ``[..., WIDTH]``."""
    return functional.normalize(centres[classes] + SPREAD * torch.randn(*classes.shape, WIDTH), dim=-1)


def estimates(centres: Tensor, tau: float, unlabelled: int, positives: int) -> tuple[Tensor, Tensor]:
    """Estimates ``[ANCHORS, DRAWS]`` and true means over negatives ``[ANCHORS, 1]``."""
    own = torch.arange(ANCHORS) % CLASSES
    anchors = drawn(centres, own)
    objective = Debiased(tau, TEMPERATURE)
    found, truth = [], []
    for anchor, label in zip(anchors, own, strict=True):
        others = (drawn(centres, torch.randint(CLASSES, (DRAWS, unlabelled))) @ anchor / TEMPERATURE).logsumexp(1)
        same = drawn(centres, label.expand(DRAWS, positives)) @ anchor / TEMPERATURE
        found.append(objective.log_negatives(same, others, unlabelled).exp() / unlabelled)
        negatives = torch.arange(CLASSES)[torch.arange(CLASSES) != label].repeat(4000)
        truth.append((drawn(centres, negatives) @ anchor / TEMPERATURE).exp().mean())
    return torch.stack(found), torch.stack(truth)[:, None]


def bias(centres: Tensor, tau: float, unlabelled: int, positives: int) -> float:
    found, truth = estimates(centres, tau, unlabelled, positives)
    return 100 * float(((found - truth).mean(1, keepdim=True) / truth).abs().mean())


def error(centres: Tensor, unlabelled: int, positives: int) -> float:
    found, truth = estimates(centres, 1 / CLASSES, unlabelled, positives)
    return 100 * float(((found - truth) / truth).abs().mean())
