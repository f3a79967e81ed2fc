"""I-Con: a learned distribution over neighbours brought to a supervisory one, each chosen by name."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.methods.base import JointEmbedding
from tacit.objectives.learned import Cluster, Gaussian, Learned, StudentT
from tacit.objectives.relation import Debias, Divergence, Relation
from tacit.objectives.supervisory import Augmentation, GaussianNeighbours, Neighbours, Sum, Supervisory, Walk
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.base import alike

Supervision = Literal[
    "augmentation", "neighbours", "gaussian", "augmentation+neighbours", "augmentation+neighbours+walk"
]


@register(
    "i-con",
    kind="method",
    family="contrastive",
    title="I-Con: A Unifying Framework for Representation Learning",
    year=2025,
    url="https://arxiv.org/abs/2504.16929",
    basis="code",
)
class ICon(JointEmbedding):
    """Two views, one projector, and a pair of kernels: who should be neighbours, and who is.

    The default pair is SimCLR at temperature 2 sigma^2 = 0.5. ``augmentation`` and ``student`` is t-SimCLR;
    ``gaussian`` with a perplexity and ``student`` is parametric t-SNE of the batch; ``augmentation+neighbours+walk``
    and ``cluster`` with alpha from 0.2 to 0.6 is the paper's clustering, there with hidden=0 on frozen features.
    (With labels: ``supcon``. All kernels are at hand in :mod:`tacit.objectives.relation`.)

    Args:
        encoder: gives ``[B, dim]``.
        supervisory: the neighbours as they should be: the other view, the ``k`` nearest rows of the batch, all rows
            weighted by distance, or a mean of these and of where a walk of ``walk`` steps among nearest rows ends.
        learned: the neighbours as they are: Gaussian in the ``cosine``, of the Euclidean distance, or of the inner
            product (``dot``); ``student`` for a heavy tail; ``cluster`` for membership of ``out`` clusters.
        divergence: from the one to the other, see :class:`tacit.objectives.relation.Relation`.
        mask_diagonal: whether a row is left out of its own neighbours.
        alpha: weight of a uniform distribution mixed in (debiasing), in [0, 1).
        debias: the distribution that it is mixed into.
        sigma: width of the learned Gaussian; the paper has 0.5.
        df: degrees of freedom of the learned Student t.
        k: number of nearest rows; the paper has 3 to 20.
        walk: steps of the walk.
        width: of the supervisory Gaussian; the paper has 5 for parametric t-SNE.
        perplexity: instead of one ``width``, one for each row so that it has this perplexity.
        space: where supervisory distances are taken: between ``embedding`` vectors, without gradient, or between the
            views that go ``in``.
        hidden, out: widths of the projector ``dim -> hidden -> out``; hidden=0 makes it linear.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        supervisory: Supervision = "augmentation",
        learned: Literal["cosine", "euclidean", "dot", "student", "cluster"] = "cosine",
        divergence: Divergence = "kl",
        mask_diagonal: bool = True,
        alpha: float = 0.0,
        debias: Debias = "learned",
        sigma: float = 0.5,
        df: float = 1.0,
        k: int = 3,
        walk: int = 2,
        width: float = 5.0,
        perplexity: float | None = None,
        space: Literal["embedding", "in"] = "embedding",
        hidden: int = 512,
        out: int = 128,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        self.space = space
        self.projector = mlp([self.dim, hidden, out] if hidden else [self.dim, out], norm)
        kernels: dict[str, Supervisory] = {
            "augmentation": Augmentation(),
            "neighbours": Neighbours(k),
            "gaussian": GaussianNeighbours(width, perplexity),
            "walk": Walk(Neighbours(k), walk),
        }
        p = [kernels[name] for name in supervisory.split("+")]
        q: Learned
        if learned == "student":
            q = StudentT(df)
        elif learned == "cluster":
            q = Cluster()
        else:
            q = Gaussian(sigma, learned)
        self.objective = Relation(Sum(p) if len(p) > 1 else p[0], q, divergence, mask_diagonal, alpha, debias)

    def loss(self, batch: Batch) -> Tensor:
        embeddings = self.encode(*batch["views"])
        projections = self.projector(torch.cat(embeddings)).split([len(h) for h in embeddings])
        seen = embeddings if self.space == "embedding" else [alike(view, "i-con").flatten(1) for view in batch["views"]]
        return self.objective(*projections, features=torch.stack([h.detach() for h in seen], 1))
