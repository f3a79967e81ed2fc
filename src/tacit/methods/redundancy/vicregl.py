"""VICRegL: VICReg of whole views, and of places that match between them."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.local import LocalVICReg
from tacit.objectives.redundancy import VICReg
from tacit.parts.heads import Norm, mlp
from tacit.parts.tokens import TokenEncoder
from tacit.registry import register
from tacit.views.base import join


@register(
    "vicregl",
    kind="method",
    family="redundancy",
    modalities=("image",),
    title="VICRegL: Self-Supervised Learning of Local Visual Features",
    year=2022,
    url="https://arxiv.org/abs/2210.01571",
    basis="code",
)
class VICRegL(Method):
    """The mean of a view's tokens and the tokens themselves each have a projector; tokens of two views are matched by
    their place in the image, which the sampling grid of the crops tells, and by likeness.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`). The paper's convolutional networks
            give their last map; here tokens stand for its places.
        hidden, out: widths of the projector of views ``dim -> hidden -> hidden -> out``. The paper has 8192.
        local: widths of the projector of tokens ``dim -> local -> local -> local``. The paper has 512.
        matches: pairs of tokens a sample that count; the paper has 20.
        alpha: weight of the criterion on views, in [0, 1]; 1 - alpha is that of the tokens. The paper has 0.75 and 0.9.
        invariance, variance, covariance: weights of the three terms of both criteria.
        norm: normalisation in both projectors.

    Raises:
        OptionError: for an encoder without tokens, an alpha outside [0, 1], or views without a sampling grid.
    """

    recipe: ClassVar[str] = "asymmetric-pair"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 512,
        local: int = 128,
        matches: int = 20,
        alpha: float = 0.75,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"vicregl needs an encoder with tokens, which {type(encoder).__name__} is not")
        if not 0 < alpha < 1:
            raise OptionError(f"alpha must lie between 0 and 1, not {alpha}")
        self.alpha = alpha
        self.projector: nn.Module = mlp([self.dim, hidden, hidden, out], norm, last_bias=False)
        self.local_projector = mlp([self.dim, local, local, local], norm, last_bias=False)
        # The authors' global criterion takes the mean covariance of the views, where VICReg takes the sum.
        self.objective = VICReg(invariance, variance, covariance / 2)
        self.local_objective = LocalVICReg(matches, invariance, variance, covariance)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        first, second = batch["views"]
        if "theta" not in first or "theta" not in second:
            raise OptionError("vicregl needs views that tell where they were cropped (theta), such as asymmetric-pair")
        tokens = self.encoder.tokenize(join([first, second])["x"])
        encoded = self.encoder.encode_tokens(tokens.x)
        samples, count = encoded.shape[:2]
        wholes = self.projector(encoded.mean(1)).split(samples // 2)
        maps = self.local_projector(encoded.flatten(0, 1)).unflatten(0, (-1, count)).split(samples // 2)
        places = [places_in_source(tokens.position, view["theta"]) for view in (first, second)]
        terms = {name: self.alpha * value for name, value in self.objective.terms(*wholes).items()}
        local = self.local_objective.terms(*maps, *places)
        return terms | {f"local_{name}": (1 - self.alpha) * value for name, value in local.items()}


def places_in_source(position: Tensor, theta: Tensor) -> Tensor:
    """Where tokens of a view lie in the image that the view was cut from.

    Args:
        position: row and column in the view, in [0, 1], ``[N, 2]``.
        theta: the view's sampling grid, from its coordinates in [-1, 1] (column first) to the image's, ``[B, 2, 3]``.

    Returns:
        ``[B, N, 2]``, column and row in the image, in [-1, 1] inside it.
    """
    inside = torch.cat([2 * position.flip(1) - 1, torch.ones_like(position[:, :1])], 1)
    return inside.to(theta.dtype) @ theta.transpose(1, 2)
