"""I-JEPA: predict the representation of blocks of a sample from the rest of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.predictive import TokenDistance
from tacit.parts.blocks import context_and_targets, grid_of
from tacit.parts.decoder import TokenPredictor
from tacit.parts.draws import Draws
from tacit.parts.teacher import Teacher
from tacit.parts.tokens import TokenEncoder
from tacit.registry import register
from tacit.views.base import alike


@register(
    "i-jepa",
    kind="method",
    family="predictive",
    title="Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture",
    year=2023,
    url="https://arxiv.org/abs/2301.08243",
    basis="code",
)
class IJEPA(Method):
    """The encoder sees a block of a sample's tokens, and a small predictor says what a slow copy of the encoder, which
    sees all tokens, gives at other blocks. There is one view, without changes of colour.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`); the teacher starts as its copy.
        targets: number of blocks to predict.
        scale: range of a target's share of the tokens.
        ratio: range of a target's height over width.
        context: range of the context's share of the tokens, before the targets are taken out of it.
        width, depth, heads: of the predictor. The paper has 384, 6 to 12 and the encoder's number.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine (the paper's along a line).

    Raises:
        OptionError: for an encoder without tokens, or whose tokens lie on no grid.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        targets: int = 4,
        scale: tuple[float, float] = (0.15, 0.2),
        ratio: tuple[float, float] = (0.75, 1.5),
        context: tuple[float, float] = (0.85, 1.0),
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        teacher_momentum: float = 0.996,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"i-jepa needs an encoder with tokens, which {type(encoder).__name__} is not")
        if targets < 1:
            raise OptionError(f"targets must be at least 1, not {targets}")
        for name, (low, high), top in (("scale", scale, 1.0), ("ratio", ratio, 1e9), ("context", context, 1.0)):
            if not 0 < low <= high <= top:
                raise OptionError(f"{name} must be two numbers, 0 < low <= high <= {top:g}, not {(low, high)}")
        self.targets, self.scale, self.ratio, self.context = targets, scale, ratio, context
        self.predictor = TokenPredictor(encoder.dim, encoder.dim, width, depth, heads)
        self.teacher = Teacher(encoder, teacher_momentum)
        self.objective = TokenDistance()

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        x = alike(view, "i-jepa")
        tokens = self.encoder.tokenize(x)
        samples, device = len(tokens.x), tokens.x.device
        keep, wanted = context_and_targets(
            grid_of(tokens.position), samples, Draws(device=device), self.targets, self.scale, self.ratio, self.context
        )
        seen = self.encoder.encode_tokens(tokens.x, keep)
        slow = self.teacher.network
        with torch.no_grad():
            target = slow.encode_tokens(slow.tokenize(x).x)
            target = target.gather(1, wanted.flatten(1)[..., None].expand(-1, -1, target.shape[2]))
        # Each target is predicted by itself: a row of its own for every sample and target.
        count = wanted.shape[1]
        found = self.predictor(
            seen.repeat_interleave(count, 0), keep.repeat_interleave(count, 0), wanted.flatten(0, 1), tokens.position
        )
        return self.objective(found.reshape(target.shape), target)

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, progress)
