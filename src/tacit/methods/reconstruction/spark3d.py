"""Spark3D: restore hidden blocks of a volume with a U-Net whose encoder sees nothing of them."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import MaskedError
from tacit.parts.draws import Draws
from tacit.parts.masks import random_mask
from tacit.parts.visible import PyramidDecoder, PyramidEncoder, UNet, VisibleNorm, at_level, hide
from tacit.registry import register
from tacit.views.base import alike


@register(
    "spark3d",
    kind="method",
    family="reconstruction",
    title="Revisiting MAE pre-training for 3D medical image segmentation",
    year=2024,
    url="https://arxiv.org/abs/2410.23132",
    basis="code",
    modalities=("volume",),
)
class Spark3D(Method):
    """Most blocks of a volume are hidden, and sparse convolutions keep them so: no feature of the encoder depends on
    them. Before the decoder, a learned vector takes their place at each resolution, and a convolution smooths it in.

    Encoder and decoder are meant to be trained further together, see :meth:`unet`.

    Args:
        encoder: of volumes, with features at several resolutions (``unet``).
        block: voxels along each side of a block; by default those of a place of the coarsest features, as in the paper.
        ratio: share of the blocks that is hidden, drawn for each batch between two numbers in (0, 1).
        sparse: with False, the paper's baseline: an ordinary U-Net that is given zeros for what is hidden.

    Raises:
        OptionError: for an encoder without such features, or an impossible value.
    """

    recipe: ClassVar[str] = "crop"
    preferred: ClassVar[str | None] = "unet"
    encoder: PyramidEncoder

    def __init__(
        self,
        encoder: nn.Module,
        *,
        block: int | None = None,
        ratio: tuple[float, float] = (0.6, 0.9),
        sparse: bool = True,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, PyramidEncoder):
            raise OptionError(
                f"spark3d needs an encoder of volumes with features at several resolutions, which "
                f"{type(encoder).__name__} is not; say --encoder unet"
            )
        if not 0 < ratio[0] <= ratio[1] < 1:
            raise OptionError(f"ratio must be two shares of the blocks, 0 < low <= high < 1, not {ratio!r}")
        self.coarsest = 1 << (len(encoder.widths) - 1)
        if block is not None and (block < 1 or (block % self.coarsest and block not in (1, 2, 4, 8, 16))):
            raise OptionError(
                f"block must be 1, 2, 4, ... voxels, or a multiple of {self.coarsest}, those of a place of the "
                f"coarsest features, not {block}"
            )
        self.block, self.ratio, self.sparse = block or self.coarsest, ratio, sparse
        self.densify: nn.ModuleList | None = None
        if sparse:
            levels = zip(encoder.widths, encoder.groups, strict=True)
            self.densify = nn.ModuleList(_Densify(w, g, level > 0) for level, (w, g) in enumerate(levels))
        self.decoder = PyramidDecoder(encoder.widths, encoder.channels, encoder.groups)
        self.objective = MaskedError(normalise=False)

    def loss(self, batch: Batch) -> Tensor:
        x = alike(batch["views"][0], "spark3d")
        mask = self.mask(x, Draws(device=x.device))
        restored = self.restored(x, mask)
        visible = at_level(mask, x.shape[2:])
        assert visible is not None
        return self.objective(restored.flatten(2).mT, x.flatten(2).mT, ~visible.flatten(1))

    def mask(self, x: Tensor, draws: Draws) -> Tensor:
        """Which blocks of each volume are visible, equally many in each: bool ``[B, 1, d, h, w]``.

        Raises:
            OptionError: for volumes that blocks, or the encoder's coarsest level, do not divide.
        """
        sides, whole = list(x.shape[2:]), max(self.block, self.coarsest)
        if any(n % self.block or n % self.coarsest for n in sides):
            right = [max(2 * whole, round(n / whole) * whole) for n in sides]
            raise OptionError(
                f"spark3d hides blocks of {self.block} voxels, and its encoder halves {self.coarsest.bit_length() - 1} "
                f"times: {' x '.join(map(str, sides))} voxels do not divide so; say --set data.size='{tuple(right)}'"
            )
        cells = [n // self.block for n in sides]
        count = cells[0] * cells[1] * cells[2]
        if count < 2:
            raise OptionError(f"a block of {self.block} voxels is all of a volume of {sides}; say --set block=...")
        ratio = self.ratio[0] + (self.ratio[1] - self.ratio[0]) * float(draws.on("cpu").shared(1))
        return ~random_mask(len(x), count, ratio, draws)[1].view(-1, 1, *cells)

    def restored(self, x: Tensor, mask: Tensor) -> Tensor:
        """What the network makes of a volume of which it sees the blocks in ``mask``: ``[B, C, D, H, W]``."""
        encoder = self.encoder
        if self.densify is None:
            return self.decoder(encoder.features(hide(x, at_level(mask, x.shape[2:]))))
        features = encoder.features(x, mask)
        filled = [part(f, at_level(mask, f.shape[2:])) for part, f in zip(self.densify, features, strict=True)]
        return self.decoder(filled)

    def unet(self, outputs: int) -> UNet:
        """A U-Net to train further, with copies of the encoder and the decoder and a new layer of so many outputs.

        Nothing is hidden any more, and layers are ordinary ones. The paper first trains the decoder alone with a rising
        learning rate and then both, at a tenth of the rate of a training from scratch.
        """
        made = UNet(copy.deepcopy(self.encoder), outputs)
        known = {k: v for k, v in self.decoder.state_dict().items() if not k.startswith("leave.")}
        made.decoder.load_state_dict({**made.decoder.state_dict(), **known})
        return made


class _Densify(nn.Module):
    """Normalised features with a learned vector where they are hidden, and, but at full resolution, a convolution."""

    def __init__(self, width: int, groups: int, smooth: bool) -> None:
        super().__init__()
        self.norm = VisibleNorm(width, groups)
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(width, 1, 1, 1), std=0.02))
        self.smooth = nn.Conv3d(width, width, 3, 1, 1) if smooth else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.norm(x, mask)
        return self.smooth(x if mask is None else torch.where(mask, x, self.token.to(x.dtype)))
