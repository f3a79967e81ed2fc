"""T-JEPA: predict what a slow encoder gives at some columns of a row from other columns."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.predictive import TokenError
from tacit.parts.decoder import TokenPredictor
from tacit.parts.draws import Draws
from tacit.parts.subsets import context_and_target_sets, possible_sizes
from tacit.parts.teacher import Teacher
from tacit.parts.tokens import TokenEncoder, rows_at
from tacit.registry import register


@register(
    "t-jepa",
    kind="method",
    family="predictive",
    title="T-JEPA: Augmentation-Free Self-Supervised Learning for Tabular Data",
    year=2024,
    url="https://arxiv.org/abs/2410.05016",
    basis="code",
    modalities=("table",),
)
class TJEPA(Method):
    """The encoder sees a random subset of a row's columns, and a small predictor says what a slow copy of the encoder,
    which sees all columns, gives at several other subsets. No value is changed.

    The regularisation token of the paper is a register of the encoder (``encoder.registers``, 1 by default): always
    there, never hidden and never predicted. For downstream models the paper takes a row's tokens side by side; they are
    :meth:`row_tokens`.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`), equally many in each sample; the
            teacher starts as its copy.
        context: range of the share of columns that are seen; each batch has one number of columns out of it.
        targets: range of the share of columns in each set that is predicted.
        predictions: number of such sets.
        width, depth, heads: of the predictor.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine (the paper's along a line).

    Raises:
        OptionError: for an encoder without tokens, an impossible value, or so few columns that there is none to see or
            none to predict.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True
    preferred: ClassVar[str | None] = "columns"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        context: tuple[float, float] = (0.2, 0.5),
        targets: tuple[float, float] = (0.15, 0.4),
        predictions: int = 4,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        teacher_momentum: float = 0.996,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"t-jepa needs an encoder with tokens, which {type(encoder).__name__} is not")
        for name, (low, high) in (("context", context), ("targets", targets)):
            if not 0 <= low <= high < 1:
                raise OptionError(f"{name} must be two shares of the columns, 0 <= low <= high < 1, not {(low, high)}")
        if predictions < 1:
            raise OptionError(f"predictions must be at least 1, not {predictions}")
        self.context, self.targets, self.predictions = context, targets, predictions
        self.predictor = TokenPredictor(encoder.dim, encoder.dim, width, depth, heads)
        self.teacher = Teacher(encoder, teacher_momentum)
        self.objective = TokenError()

    def loss(self, batch: Batch) -> Tensor:
        (view,) = batch["views"]
        tokens = self.encoder.tokenize(view["x"])
        samples, count = tokens.x.shape[:2]
        sizes = possible_sizes(count, self.context, self.targets)
        keep, wanted = context_and_target_sets(samples, count, sizes, self.predictions, Draws(device=tokens.x.device))
        seen = self.encoder.encode_tokens(tokens.x, keep)
        slow = self.teacher.network
        with torch.no_grad():
            target = rows_at(slow.encode_tokens(slow.tokenize(view["x"]).x), wanted.flatten(1))
        sets = self.predictions
        predicted = self.predictor(
            seen.repeat_interleave(sets, 0), keep.repeat_interleave(sets, 0), wanted.flatten(0, 1), tokens.position
        )
        return self.objective(predicted, target.unflatten(1, (sets, -1)).flatten(0, 1))

    @torch.no_grad()
    def row_tokens(self, x: Tensor) -> Tensor:
        """What the slow encoder gives at every column of whole rows, side by side: ``[B, F] -> [B, D * dim]``."""
        slow = self.teacher.network
        return slow.encode_tokens(slow.tokenize(x).x).flatten(1)

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, progress)
