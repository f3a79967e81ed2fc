"""ScatSimCLR: SimCLR on wavelet scattering, with a task on turned or shuffled images beside it."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding, embed
from tacit.objectives.contrastive import NTXent
from tacit.objectives.labels import Labels
from tacit.parts.draws import Draws
from tacit.parts.heads import Dropout, Norm, mlp
from tacit.parts.permutations import distant_permutations
from tacit.registry import register
from tacit.views.groups import changes

SIDE = 3
"""Tiles of the jigsaw along each side."""


@register(
    "scatsimclr",
    kind="method",
    family="contrastive",
    modalities=("image",),
    title="ScatSimCLR: self-supervised contrastive learning with pretext task regularization for small-scale datasets",
    year=2021,
    url="https://arxiv.org/abs/2108.13939",
    basis="code",
)
class ScatSimCLR(JointEmbedding):
    """NT-Xent on two views, and a classification of what was done to one of them more: which quarter turn, or which
    permutation of its 3x3 tiles.

    Its own encoder is ``scattering``, fixed wavelets under a small network; any other may be asked for. The turned
    image is a third pass through the encoder, the jigsaw nine more.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``. The paper has hidden = dim = 2048, out = 128.
        temperature: of NT-Xent.
        pretext: ``rotation``, ``jigsaw`` or ``none``.
        weight: of the pretext task; the paper has 0.3.
        permutations: how many orders of the tiles the jigsaw has; the paper has 35.
        dropout: probability of dropping a number in the heads of the pretext task.
        norm: normalisation in the projector; the paper has none.
    """

    preferred: ClassVar[str | None] = "scattering"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        temperature: float = 0.5,
        pretext: Literal["rotation", "jigsaw", "none"] = "rotation",
        weight: float = 0.3,
        permutations: int = 35,
        dropout: float = 0.5,
        norm: Norm = "none",
    ) -> None:
        super().__init__(encoder)
        self.projector = mlp([self.dim, hidden, out], norm)
        self.objective = NTXent(temperature)
        self.labels = Labels()
        self.pretext, self.weight, self.permutations = pretext, weight, permutations
        if pretext == "rotation":
            self.changes = changes("rotation")
            self.task = nn.Sequential(
                nn.Linear(self.dim, 512), nn.ReLU(), Dropout(dropout),
                nn.Linear(512, 128), nn.ReLU(), Dropout(dropout),
                nn.Linear(128, len(self.changes)),
            )  # fmt: skip
        elif pretext == "jigsaw":
            distant_permutations(SIDE**2, permutations)  # raises for too many
            self.tile = nn.Sequential(nn.Linear(self.dim, 512), nn.ReLU(), Dropout(dropout))
            self.task = nn.Sequential(
                nn.Linear(512 * SIDE**2, 4096), nn.ReLU(), Dropout(dropout), nn.Linear(4096, permutations)
            )

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        views = batch["views"]
        contrast = self.objective(*self.project(*views))
        if self.pretext == "none":
            return contrast
        x = views[0]["x"]
        drawn = Draws(device=x.device).uniform(len(x))
        task = self.turned if self.pretext == "rotation" else self.shuffled
        return {"contrast": contrast, "pretext": self.weight * self.labels(*task(x, drawn))}

    def turned(self, x: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the four turns, and the turn that was made of each image."""
        turn = (drawn * len(self.changes)).long()
        copies = torch.stack([change(x) for change in self.changes])
        return self.task(embed(self.encoder, {"x": copies[turn, torch.arange(len(x), device=x.device)]})), turn

    def shuffled(self, x: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the permutations, and the one that each image's tiles were put into."""
        chosen = (drawn * self.permutations).long()
        order = distant_permutations(SIDE**2, self.permutations).to(x.device)[chosen]
        pieces = tiles(x).gather(1, order[..., None, None, None].expand(-1, -1, *x.shape[1:]))
        h = self.tile(embed(self.encoder, {"x": pieces.flatten(0, 1)}))
        return self.task(h.unflatten(0, (len(x), -1)).flatten(1)), chosen


def tiles(x: Tensor) -> Tensor:
    """An image as 3x3 tiles, row by row, each as large as the image: ``[B, C, H, W] -> [B, 9, C, H, W]``.

    Raises:
        OptionError: for images with a side under 6 pixels.
    """
    size = x.shape[2:]
    if min(size) < 2 * SIDE:
        raise OptionError(f"a jigsaw of {SIDE}x{SIDE} tiles needs images of at least {2 * SIDE} pixels, not {size}")
    high, wide = (side // SIDE for side in size)
    cut = x[:, :, : SIDE * high, : SIDE * wide].unflatten(3, (SIDE, wide)).unflatten(2, (SIDE, high))
    pieces = cut.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return functional.interpolate(pieces, size, mode="bilinear", align_corners=False).unflatten(0, (len(x), -1))
