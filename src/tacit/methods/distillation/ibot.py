"""iBOT: DINO, and the same for tokens that the student does not see."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.methods.distillation.dino import GLOBAL, check_views
from tacit.objectives.distillation import CrossViews, HiddenTokens
from tacit.parts.blocks import block_sides, blocks, grid_of
from tacit.parts.centre import CentredTeacher
from tacit.parts.decoder import position_code
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.parts.prototypes import Prototypes
from tacit.parts.teacher import Teacher
from tacit.parts.tokens import TokenEncoder
from tacit.registry import register
from tacit.views.base import alike, join


@register(
    "ibot",
    kind="method",
    family="distillation",
    title="iBOT: Image BERT Pre-Training with Online Tokenizer",
    year=2022,
    url="https://arxiv.org/abs/2111.07832",
    basis="code",
)
class IBOT(Method):
    """The student sees its large views with a block of tokens hidden; of each hidden token it says how likely the
    teacher, which sees all, finds each prototype, and of the whole view what DINO asks.

    Head and prototypes serve both. A view's embedding is the mean of its tokens, as encoders here pool. A hidden token
    is one learned vector and a fixed code of its place.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`); the teacher starts as its copy.
        hidden, out: widths of the projector ``dim -> hidden -> hidden -> out``. The paper has 2048 and 256, and GELU
            for ReLU.
        prototypes: how many; the paper has 8192.
        masked: probability that anything of a view is hidden.
        share: range of the hidden block's share of the tokens.
        ratio: range of the block's height over width.
        student_temperature: of the student's distribution.
        temperature: of the teacher's, after its rise.
        first_temperature: of the teacher's, at the start.
        rise: share of the training over which the teacher's temperature rises.
        centre_momentum: of the two centres, one for views and one for tokens.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine.
        norm: normalisation in the projector; the paper has none.

    Raises:
        OptionError: for an encoder without tokens, or whose tokens lie on no grid.
    """

    recipe: ClassVar[str] = "multi-crop"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        prototypes: int = 1024,
        masked: float = 0.5,
        share: tuple[float, float] = (0.1, 0.5),
        ratio: tuple[float, float] = (0.3, 3.3),
        student_temperature: float = 0.1,
        temperature: float = 0.07,
        first_temperature: float = 0.04,
        rise: float = 0.1,
        centre_momentum: float = 0.9,
        teacher_momentum: float = 0.996,
        norm: Norm = "none",
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"ibot needs an encoder with tokens, which {type(encoder).__name__} is not")
        if not 0 < masked <= 1:
            raise OptionError(f"masked is a probability above 0 and at most 1, not {masked}")
        for name, (low, high), top in (("share", share, 1.0), ("ratio", ratio, 1e9)):
            if not 0 < low <= high <= top:
                raise OptionError(f"{name} must be two numbers, 0 < low <= high <= {top:g}, not {(low, high)}")
        self.masked, self.share, self.ratio = masked, share, ratio
        self.mask_token = nn.Parameter(0.02 * torch.randn(self.dim))
        self.projector: nn.Module = mlp([self.dim, hidden, hidden, out], norm)
        self.prototypes = Prototypes(out, prototypes)
        self.teacher_encoder = Teacher(encoder, teacher_momentum)
        self.teacher_projector = Teacher(self.projector, teacher_momentum)
        self.teacher_prototypes = Teacher(self.prototypes, teacher_momentum)
        about = (prototypes, temperature, first_temperature, rise, centre_momentum)
        self.sharpen, self.sharpen_tokens = CentredTeacher(*about), CentredTeacher(*about)
        self.objective = CrossViews(student_temperature)
        self.tokens_objective = HiddenTokens(student_temperature)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        views = tuple(batch["views"])
        check_views(views, "ibot")
        x = alike(join(list(views[:GLOBAL])), "ibot")
        tokens = self.encoder.tokenize(x)
        hidden = self.hide(len(views[0]["x"]), tokens.position)
        sample, place = hidden.nonzero(as_tuple=True)

        mask = self.mask_token + position_code(tokens.position, self.dim)
        seen = torch.where(hidden[..., None], mask.to(tokens.x.dtype), tokens.x)
        encoded = self.encoder.encode_tokens(seen)
        embeddings = [encoded.mean(1), *self.encode(*views[GLOBAL:])] if len(views) > GLOBAL else [encoded.mean(1)]
        rows = torch.cat([*embeddings, encoded[sample, place]])
        scores = self.prototypes(self.projector(rows))
        whole = sum(map(len, embeddings))

        with torch.no_grad():
            slow = self.teacher_encoder.network
            known = slow.encode_tokens(slow.tokenize(x).x)
            rows = torch.cat([known.mean(1), known[sample, place]])
            taught = self.teacher_prototypes(self.teacher_projector(rows))
            target = self.sharpen(taught[: len(known)].unflatten(0, (GLOBAL, -1)))
            target_tokens = self.sharpen_tokens(taught[len(known) :])
        return {
            "views": self.objective(scores[:whole].unflatten(0, (len(views), -1)), target),
            "tokens": self.tokens_objective(scores[whole:], target_tokens, sample, len(hidden)),
        }

    def hide(self, batch: int, position: Tensor) -> Tensor:
        """Which tokens of the large views are hidden: bool ``[2 B, N]``, view after view."""
        u = Draws().uniform(batch, GLOBAL, 5).transpose(0, 1).flatten(0, 1)
        share, ratio = (low + (high - low) * u[:, i] for i, (low, high) in enumerate((self.share, self.ratio)))
        grid = grid_of(position)
        inside = blocks(grid, *block_sides(grid, share, ratio), u[:, 2:4])
        return (inside & (u[:, 4:] < self.masked)).to(position.device)

    def after_step(self, progress: float) -> None:
        for part in (self.sharpen, self.sharpen_tokens):
            part.progress.fill_(progress)
        self.teacher_encoder.follow(self.encoder, progress)
        self.teacher_projector.follow(self.projector, progress)
        self.teacher_prototypes.follow(self.prototypes, progress)
