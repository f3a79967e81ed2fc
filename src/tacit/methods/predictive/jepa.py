"""Joint-embedding prediction on tokens of any kind: say what a slow encoder gives at hidden tokens from the others."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.predictive import TokenDistance
from tacit.parts.decoder import TokenPredictor
from tacit.parts.draws import Draws
from tacit.parts.masks import chosen_first, near_first
from tacit.parts.teacher import Teacher
from tacit.parts.tokens import TokenEncoder, encoded, rows_at, tokens_of
from tacit.registry import register


@register(
    "jepa",
    kind="method",
    family="predictive",
    title="A Path Towards Autonomous Machine Intelligence",
    year=2022,
    url="https://openreview.net/forum?id=BZ5a1r-kVsf",
    basis="reading",
)
class JEPA(Method):
    """The encoder sees some of a sample's tokens, and a small predictor says what a slow copy of the encoder, which
    sees all of them, gives at the others.

    It asks nothing of the tokens but where they lie: what is hidden are the tokens nearest to some random ones, or,
    with ``blocks=0``, each token for itself. For blocks of a picture as the paper of I-JEPA has them there is
    ``i-jepa``.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`); the teacher starts as its copy.
        ratio: share of each sample's tokens that is hidden, in (0, 1).
        blocks: number of places around which they are hidden; 0: anywhere.
        width, depth, heads: of the predictor.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine.

    Raises:
        OptionError: for an encoder without tokens, or an impossible value.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        ratio: float = 0.5,
        blocks: int = 4,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        teacher_momentum: float = 0.99,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"jepa needs an encoder with tokens, which {type(encoder).__name__} is not")
        if not 0 < ratio < 1:
            raise OptionError(f"ratio is the share of hidden tokens, between 0 and 1, not {ratio}")
        if blocks < 0:
            raise OptionError(f"blocks must be at least 0, not {blocks}")
        self.ratio, self.blocks = ratio, blocks
        self.predictor = TokenPredictor(encoder.dim, encoder.dim, width, depth, heads)
        self.teacher = Teacher(encoder, teacher_momentum)
        self.objective = TokenDistance()

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        tokens = tokens_of(self.encoder, view)
        counts = tokens.counts()
        if int(counts.max()) < 2:
            raise ValueError("hiding tokens needs samples of at least 2: use smaller tokens or larger samples")
        hide = torch.minimum((counts * self.ratio).round().long().clamp_min(1), counts - 1)
        order = near_first(tokens.position, counts, self.blocks, Draws(device=tokens.x.device), tokens.x.shape[1])
        wanted, asked = chosen_first(order, hide, tokens.valid)
        keep, kept = chosen_first(-order, counts - hide, tokens.valid)
        ragged = tokens.valid is not None
        seen = encoded(self.encoder, tokens, keep, kept if ragged else None)
        slow = self.teacher.network
        with torch.no_grad():
            target = rows_at(encoded(slow, tokens_of(slow, view)), wanted)
        if not ragged:
            return self.objective(self.predictor(seen, keep, wanted, tokens.position), target)
        found = self.predictor(seen, keep, wanted, tokens.position, kept, asked)
        return self.objective(found, target, asked)

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, progress)
