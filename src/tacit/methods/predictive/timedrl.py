"""TimeDRL: patches restored, and whole series kept alike, from passes that differ in dropout alone."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.reconstruction import MaskedError
from tacit.parts.heads import Dropout, Norm, TokenDropout, mlp
from tacit.parts.levels import LevelEncoder
from tacit.registry import register


@register(
    "timedrl",
    kind="method",
    family="predictive",
    title="TimeDRL: Disentangled Representation Learning for Multivariate Time-Series",
    year=2023,
    url="https://arxiv.org/abs/2312.04142",
    basis="code",
    modalities=("series",),
)
class TimeDRL(Method):
    """One transformer with two levels. The vectors of patches must restore the patches; the vector of the whole series
    must be predicted from that of another pass, whose gradient is stopped. The passes differ in dropout alone: nothing
    is augmented and nothing masked.

    The contrast is 1 - cos, the paper's plus 1, with its gradient. With ``--views pair`` each pass sees a view of its
    own, which the paper finds worse.

    Args:
        encoder: one with two levels (``dual``), with dropout.
        weight: of the contrast; the paper has 0.1 to 0.5.
        target: what is restored: patches as ``given``, of series standardised by the data set as in the authors' code,
            or as ``seen``, each series standardised by itself.
        dropout: in both heads, in [0, 1).
        stop_gradient: whether the gradient into the other pass is stopped, without which the vectors of whole series
            collapse.
        norm: normalisation in the predictor.

    Raises:
        OptionError: for an encoder without two levels or without dropout, or an impossible value.
    """

    recipe: ClassVar[str] = "plain"
    preferred: ClassVar[str | None] = "dual"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        weight: float = 0.5,
        target: Literal["given", "seen"] = "given",
        dropout: float = 0.1,
        stop_gradient: bool = True,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, LevelEncoder):
            raise OptionError(
                f"timedrl needs an encoder with two levels, which {type(encoder).__name__} is not; say --encoder dual"
            )
        if not encoder.dropout > 0:
            raise OptionError("without dropout in the encoder both passes are the same; give encoder.dropout above 0")
        if weight < 0 or not 0 <= dropout < 1:
            raise OptionError(f"weight must not be negative and dropout in [0, 1), not {weight} and {dropout}")
        self.weight, self.target, self.stop_gradient = weight, target, stop_gradient
        width = encoder.width
        self.restorer = nn.Sequential(TokenDropout(dropout), nn.Linear(width, encoder.target_dim))
        *inner, last = mlp([width, max(1, width // 2), width], norm)
        self.predictor = nn.Sequential(*inner, Dropout(dropout), last)
        self.restoring, self.objective = MaskedError(normalise=False), NegativeCosine()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        encoder = self.encoder
        assert isinstance(encoder, LevelEncoder)
        views = batch["views"][:2]
        # one after the other, so that what is dropped of a sample does not depend on how a batch is spread over ranks
        passes = [encoder.levels(view["x"], view.get("length")) for view in (views[0], views[-1])]
        restoring, contrast = [], []
        for found, other in zip(passes, reversed(passes), strict=True):
            wanted = found.given if self.target == "given" else found.seen
            valid = found.valid
            if valid is None:
                valid = torch.ones(wanted.shape[:2], dtype=torch.bool, device=wanted.device)
            restoring.append(self.restoring(self.restorer(found.patches), wanted.float(), valid))
            target = other.whole.detach() if self.stop_gradient else other.whole
            contrast.append(self.objective(self.predictor(found.whole), target))
        return {
            "restoring": torch.stack(restoring).mean(),
            "contrast": self.weight * torch.stack(contrast).mean() / 2,
        }
