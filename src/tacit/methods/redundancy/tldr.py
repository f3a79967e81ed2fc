"""TLDR: a sample and one of its nearest neighbours in the input space, instead of two views."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding, Samples
from tacit.objectives.redundancy import BarlowTwins
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.parts.neighbours import Metric, nearest
from tacit.registry import register
from tacit.views.base import alike


@register(
    "tldr",
    kind="method",
    family="redundancy",
    title="TLDR: Twin Learning for Dimensionality Reduction",
    year=2021,
    url="https://arxiv.org/abs/2110.09455",
    basis="code",
)
class TLDR(JointEmbedding):
    """Barlow Twins on neighbours of the input space; the encoder is the reduction, the projector is thrown away.

    Before the first step it sees all samples, finds their neighbours and keeps both: as many numbers as the data
    set has stay in memory and in every checkpoint. On vectors use :class:`tacit.sklearn.TLDR`, which has the paper's
    linear and shallow encoders. Neighbours are exact; the paper also has approximate ones by product quantisation.

    Args:
        encoder: gives ``[B, dim]``.
        neighbours: k; one of a sample's k neighbours is drawn at each step. The paper has 3 to 10, up to 100 for large
            data. More samples than k are needed.
        metric: what is near: smallest ``euclidean`` distance or largest ``inner`` product of the inputs.
        pairs: ``neighbours``, or ``noise``: the sample itself with Gaussian noise (the paper's control).
        noise: standard deviation of that noise, relative to the inputs'.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 2048 for both.
        lambda_: weight of redundancy reduction.
        scale: factor on the loss.
        norm: normalisation in the projector.
    """

    recipe: ClassVar[str] = "plain"
    bank: Tensor
    near: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        neighbours: int = 5,
        metric: Metric = "euclidean",
        pairs: Literal["neighbours", "noise"] = "neighbours",
        noise: float = 0.1,
        hidden: int = 512,
        out: int = 512,
        lambda_: float = 0.0039,
        scale: float = 0.03125,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, not {neighbours}")
        self.neighbours, self.metric, self.pairs, self.noise = neighbours, metric, pairs, noise
        self.projector = mlp([self.dim, hidden, hidden, out], norm, last_bias=False)
        self.objective = BarlowTwins(lambda_, scale)
        self.register_buffer("bank", torch.empty(0))
        self.register_buffer("near", torch.empty(0, neighbours, dtype=torch.int64))

    def sized(self, count: int) -> None:
        if self.pairs == "neighbours" and count <= self.neighbours:
            raise OptionError(f"{self.neighbours} neighbours need more than {count} samples; lower 'neighbours'")

    def begin(self, samples: Samples) -> None:
        if self.pairs == "neighbours":
            self.bank = torch.cat([alike(batch["views"][0], "tldr") for batch in samples()])
            self.near = nearest(self.bank.flatten(1), self.neighbours, self.metric)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,) = batch["views"]
        return self.compare(*self.project(view, {"x": self._partner(alike(view, "tldr"), batch["index"])}))  # type: ignore[return-value]

    def _partner(self, x: Tensor, index: Tensor) -> Tensor:
        draws = Draws(device=x.device)
        if self.pairs == "noise":
            count = x.numel() * ranks.world()[1]
            mean = ranks.total(x.sum()) / count
            deviation = (ranks.total((x - mean).square().sum()) / count).sqrt()
            return x + self.noise * deviation * draws.normal(len(x), *x.shape[1:]).to(x.dtype)
        if not len(self.near):
            raise OptionError("tldr must see all samples first: call begin(samples) before the first step")
        chosen = (draws.uniform(len(x), 1) * self.neighbours).long()
        return self.bank[self.near[index].gather(1, chosen)[:, 0]].to(x.dtype)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("bank", "near"):  # as large as the data that the stored run has seen
            if f"{prefix}{name}" in state_dict:
                setattr(self, name, torch.empty_like(state_dict[f"{prefix}{name}"], device=self.bank.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
