"""Kernel-InfoNCE: InfoNCE with exponential kernels and mixtures of two."""

from __future__ import annotations

from typing import Literal

from torch import nn

from tacit.methods.base import JointEmbedding
from tacit.objectives.kernel_infonce import KernelInfoNCE as Objective
from tacit.objectives.kernel_infonce import SpectralContrastive
from tacit.parts.heads import Norm, mlp
from tacit.registry import register


@register(
    "kernel-infonce",
    kind="method",
    family="contrastive",
    title="Contrastive Learning Is Spectral Clustering On Similarity Graph",
    year=2024,
    url="https://arxiv.org/abs/2303.15103",
    basis="code",
)
class KernelInfoNCE(JointEmbedding):
    """Two views, one projector; the kernel ``exp(-|a - b|^gamma / temperature)``, by default mixed with the Gaussian.

    At gamma = 2 without mixture it is SimCLR with temperature / 2.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``; the paper has 2048 and 128. The concatenation
            mixture makes it 2 ``out`` wide, half for each kernel.
        gamma: exponent of the kernel, in (0, 2]; 1 is the Laplacian.
        temperature: of both kernels; the paper searches it.
        mixture: ``none``, ``sum`` of two losses on one projection, ``concatenation`` of two projections, or
            ``spectral``: the spectral contrastive loss that the paper compares with, which has no kernel options.
        lambda_: weight of the kernel against the Gaussian, in [0, 1]; the paper searches it.
        p: of the norm that projections are brought to and that distances are taken in.
        mu: squared length of the normalised projections.
        arc_cosine: 1, 2 or 3 for an arc-cosine kernel of that order instead, with mixture=none; 0 for none.
        norm: normalisation in the projector.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        gamma: float = 1.0,
        temperature: float = 0.5,
        mixture: Literal["none", "sum", "concatenation", "spectral"] = "sum",
        lambda_: float = 0.5,
        p: float = 2.0,
        mu: float = 1.0,
        arc_cosine: int = 0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        width = 2 * out if mixture == "concatenation" else out
        self.projector = mlp([self.dim, hidden, width], norm, last_bias=False)
        if mixture == "spectral":
            self.objective = SpectralContrastive()
        else:
            self.objective = Objective(gamma, temperature, mixture, lambda_, p, mu, arc_cosine)
