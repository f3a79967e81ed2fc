"""Faster R-CNN on an encoder's maps: torchvision's region proposals and heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tacit.assessment.joined import Joined
from tacit.errors import OptionError

Target = dict[str, Tensor]
"""``boxes``, float32 ``[K, 4]``: x0, y0, x1, y1 in pixels; ``labels``, int64 ``[K]``, from 1: 0 is the background."""


@dataclass(frozen=True)
class Heads:
    """Sizes of what detects on an encoder's maps. By default it is small, for a CPU and images of 32 to 64 pixels.

    Attributes:
        width: channels of the joined maps.
        stride: pixels from one place of these to the next, about.
        anchors: sides of the boxes that proposals start from, as shares of the shorter side of the image.
        ratios: their heights over their widths.
        proposals: most regions of an image that the heads look at.
        pool: side of the grid that the maps in a region are brought to.
        hidden: units of each of the two layers behind that.
        sampled: anchors, and half as many regions, of an image that a training step takes.
        least: smallest score of a box that is given.
        apart: largest intersection over union of two boxes of one class that are both given.
        most: boxes of an image that are given.
        flip: mirror half of the images in training.

    Raises:
        OptionError: for an impossible value.
    """

    width: int = 64
    stride: int = 4
    anchors: tuple[float, ...] = (0.15, 0.3, 0.5, 0.8)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    proposals: int = 50
    pool: int = 5
    hidden: int = 128
    sampled: int = 64
    least: float = 0.01
    apart: float = 0.5
    most: int = 20
    flip: bool = True

    def __post_init__(self) -> None:
        for name in ("width", "stride", "proposals", "pool", "hidden", "sampled", "most"):
            if getattr(self, name) < (2 if name == "sampled" else 1):
                raise OptionError(f"{name} of the heads must be a whole number above 0, not {getattr(self, name)}")
        for name in ("anchors", "ratios"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise OptionError(f"{name} of the heads must be numbers above 0, not {getattr(self, name)}")
        for name in ("least", "apart"):
            if not 0 <= getattr(self, name) <= 1:
                raise OptionError(f"{name} of the heads must be from 0 to 1, not {getattr(self, name)}")


class Detector(Joined):
    """An encoder with the two stages of Faster R-CNN (Ren et al., 2015) on its joined maps: a network that proposes
    regions, and heads that tell class and box of each.

    Both stages, their losses and the suppression of doubles are torchvision's; nothing resizes or normalises what the
    encoder is shown.

    Args:
        encoder, view, frozen: see :class:`tacit.assessment.joined.Joined`.
        classes: how many there are besides the background.
        heads: their sizes.
    """

    def __init__(self, encoder: nn.Module, view: Mapping[str, Any], classes: int, heads: Heads, frozen: bool) -> None:
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

        height, width = view["x"].shape[2:]
        grid = (max(1, round(height / heads.stride)), max(1, round(width / heads.stride)))
        super().__init__(encoder, view, heads.width, frozen, "detection", grid)
        self.size = (int(height), int(width))
        self.smooth = nn.Sequential(
            nn.GroupNorm(_groups(heads.width), heads.width), nn.ReLU(),
            nn.Conv2d(heads.width, heads.width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        sides = tuple(share * min(self.size) for share in heads.anchors)
        anchors = AnchorGenerator((sides,), (heads.ratios,))
        kept = dict.fromkeys(("training", "testing"), heads.proposals)
        before = dict.fromkeys(("training", "testing"), 4 * heads.proposals)
        # 0.7, 0.3, 0.5 and the like: the overlaps of Faster R-CNN
        self.rpn = RegionProposalNetwork(
            anchors, RPNHead(heads.width, anchors.num_anchors_per_location()[0]), 0.7, 0.3, heads.sampled, 0.5,
            before, kept, 0.7,
        )  # fmt: skip
        self.roi_heads = RoIHeads(
            _Pool(heads.pool, self.size), TwoMLPHead(heads.width * heads.pool**2, heads.hidden),
            FastRCNNPredictor(heads.hidden, 1 + classes), 0.5, 0.5, heads.sampled // 2, 0.25, None,
            heads.least, heads.apart, heads.most,
        )  # fmt: skip

    def run(self, view: Mapping[str, Any], targets: list[Target] | None = None) -> tuple[list[Target], Tensor]:
        """What is found in each image (``boxes``, ``labels`` from 1, ``scores``; nothing while training), and the sum
        of the four losses (0 while not)."""
        from torchvision.models.detection.image_list import ImageList

        maps, x = self.smooth(super().forward(view)), view["x"]
        sizes, named = [self.size] * len(x), {"0": maps}
        regions, first = self.rpn(ImageList(x, sizes), named, targets)
        found, second = self.roi_heads(named, regions, sizes, targets)
        losses = [*first.values(), *second.values()]
        return found, torch.stack(losses).sum() if losses else maps.new_zeros(())

    def forward(self, view: Mapping[str, Any]) -> Tensor:
        """A view to what is found in its images: float32 ``[B, most, 6]`` of class from 0, x0, y0, x1, y1 in pixels and
        score; empty places are -1."""
        found = self.run(view)[0]
        rows = view["x"].new_full((len(found), self.roi_heads.detections_per_img, 6), -1.0)
        for place, one in enumerate(found):
            parts = (one["labels"][:, None] - 1, one["boxes"], one["scores"][:, None])
            rows[place, : len(one["boxes"])] = torch.cat(parts, 1)
        return rows


class _Pool(nn.Module):
    """Maps within regions, by RoIAlign at the maps' true scale: torchvision's pooling over several maps rounds it to a
    power of two."""

    def __init__(self, side: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.side, self.size = side, size

    def forward(self, maps: Mapping[str, Tensor], regions: list[Tensor], sizes: Any) -> Tensor:
        from torchvision.ops import roi_align

        x = maps["0"]
        down, across = (places / side for places, side in zip(x.shape[2:], self.size, strict=True))
        scale = regions[0].new_tensor((across, down, across, down))
        return roi_align(x, [region * scale for region in regions], self.side, 1.0, 2, aligned=True)


def _groups(width: int) -> int:
    return next(groups for groups in (8, 4, 2, 1) if width % groups == 0)


__all__ = ["Detector", "Heads", "Target"]
