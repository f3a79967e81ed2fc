"""Masked scene modelling: say what a slow copy of the network sees in another view where cells are hidden."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import ScaledCosine
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import mlp
from tacit.parts.teacher import Teacher
from tacit.parts.voxels import AROUND, Cells, Pyramid, VoxelEncoder, joined_cells
from tacit.registry import register
from tacit.views.base import View, join


@register(
    "msm",
    kind="method",
    family="predictive",
    title="Masked Scene Modeling: Narrowing the Gap Between Supervised and Self-Supervised Learning in 3D Scene "
    "Understanding",
    year=2025,
    url="https://arxiv.org/abs/2504.06719",
    basis="paper",
    modalities=("points",),
)
class MSM(Method):
    """The downward half of a sparse U-Net sees the cells of a cropped view that are not hidden. On the way back hidden
    cells come in again at every size as a learned token, and at each size a small predictor says what a slow copy of
    the network gives at the same place of another view, which it sees whole.

    The authors' code holds no training. Theirs are the views, the hiding in blocks, the tokens at every level, the slow
    copy and the prediction across views. The distance (1 - cosine), the predictors and taking from what the slow copy
    gives its mean over all cells of the level, so that constant features are worth nothing, are this library's.

    Args:
        encoder: one with features of cells (:class:`tacit.parts.voxels.VoxelEncoder`); the teacher starts as its copy.
        ratio: share of the blocks of each cloud that is hidden, in (0, 1).
        block: side of the blocks that are hidden together, in cells of the finest level. The paper's span several
            cells of the coarsest; one of it is the default.
        widen: hidden width of the predictors, as a multiple of the level's.
        teacher_momentum: the teacher's at the start; it rises to 1 along a cosine.

    Raises:
        OptionError: for an encoder without cells, or an impossible value.
    """

    recipe: ClassVar[str] = "cropped-and-whole"
    preferred: ClassVar[str | None] = "voxels"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        ratio: float = 0.4,
        block: int | None = None,
        widen: int = 2,
        teacher_momentum: float = 0.99,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, VoxelEncoder):
            raise OptionError(
                f"msm needs an encoder with features of cells, which {type(encoder).__name__} is not; say --encoder "
                "voxels"
            )
        if not 0 < ratio < 1:
            raise OptionError(f"ratio is the share of hidden blocks, between 0 and 1, not {ratio}")
        widths = encoder.widths
        if (block is not None and block < 1) or widen < 1:
            raise OptionError(f"block and widen must be at least 1, not {block} and {widen}")
        self.ratio, self.block = ratio, block or 2 ** (len(widths) - 1)
        self.tokens_of_levels = nn.ParameterList(nn.Parameter(0.02 * torch.randn(width)) for width in widths)
        self.predictors = nn.ModuleList(mlp([width, widen * width, width], "layer") for width in widths)
        self.teacher = Teacher(encoder, teacher_momentum)
        self.objective = ScaledCosine(1.0)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        crops, wholes = batch["views"][:2], batch["views"][2:]
        student, other = join(list(crops)), join([wholes[1], wholes[0]])
        pyramid, levels, hidden = self.hidden_pass(student, Draws(device=student["x"].device))
        with torch.no_grad():
            seen, slow = self.taught(other)
        terms = {}
        for level, features in enumerate(levels):
            rows = hidden[level].nonzero()[:, 0]
            there = partners(pyramid.levels[level], rows, student["theta"], other["theta"], seen.levels[level])
            rows, there = rows[there >= 0], there[there >= 0]
            found = self.predictors[level](features[rows])
            terms[f"level_{level + 1}"] = self.objective(found, slow[level][there]) / len(levels)
        return terms

    def hidden_pass(self, view: View, draws: Draws) -> tuple[Pyramid, list[Tensor], list[Tensor]]:
        """All cells of a view of two joined ones, what the network gives for them with some hidden, and which of each
        level are hidden (bool ``[V_l]``)."""
        encoder: VoxelEncoder = self.encoder
        cells, entry = encoder.entry(view["x"], view.get("length"))
        kept = ~hidden_cells(cells, self.block, self.ratio, draws)
        depth = len(encoder.widths)
        whole, visible = Pyramid(cells, depth), Pyramid(cells.select(kept), depth)
        skips, hidden = [], []
        for level, given in enumerate(encoder.encode(visible, entry[kept])):
            at = visible.levels[level].find(whole.levels[level].sample, whole.levels[level].cell)
            token = self.tokens_of_levels[level].to(given.dtype)
            skips.append(torch.where(at[:, None] >= 0, given[at.clamp_min(0)], token))
            hidden.append(at < 0)
        return whole, encoder.decode(whole, skips), hidden

    def taught(self, view: View) -> tuple[Pyramid, list[Tensor]]:
        """All cells of a view, and what the teacher gives for them, less its mean over the level."""
        network: VoxelEncoder = self.teacher.network
        cells, entry = network.entry(view["x"], view.get("length"))
        pyramid = Pyramid(cells, len(network.widths))
        return pyramid, [
            centred(features.float()) for features in network.decode(pyramid, network.encode(pyramid, entry))
        ]

    def after_step(self, progress: float) -> None:
        self.teacher.follow(self.encoder, progress)


def centred(features: Tensor) -> Tensor:
    """Features ``[V, D]`` less their mean over the cells of all ranks."""
    count = ranks.total(torch.tensor(float(len(features)), device=features.device))
    return features - ranks.total(features.sum(0)) / count


def hidden_cells(cells: Cells, side: int, ratio: float, draws: Draws) -> Tensor:
    """A random share of the blocks of ``side`` cells of each cloud, as cells: bool ``[V]``; one block is always kept.

    The batch is two views of the same clouds, one after the other.
    """
    block = torch.div(cells.cell, side, rounding_mode="floor")
    blocks, inside_of = joined_cells(
        cells.sample, block, cells.position, cells.points, cells.size * side, cells.samples
    )
    counts, half = blocks.counts(), cells.samples // 2
    width = int(counts.max())
    # the numbers of each view by itself, so that they do not depend on how the batch is spread over ranks
    numbers = torch.cat([draws.along(half, width) for _ in range(2)])
    order = (blocks.sample.double() + numbers[blocks.sample, blocks.places()].double()).argsort()
    rank = torch.empty_like(order)
    rank[order] = blocks.places()
    hide = torch.minimum((counts * ratio).round().long().clamp_min(1), counts - 1)
    return (rank < hide[blocks.sample])[inside_of]


@torch.no_grad()
def partners(cells: Cells, rows: Tensor, theta: Tensor, other: Tensor, among: Cells) -> Tensor:
    """For some cells of a view, those of another view of the same clouds that lie at the same place: the one whose
    points are nearest on average, if it is less than a cell away.

    Args:
        cells: of a level of the view.
        rows: which of them, int64 ``[R]``.
        theta, other: from places in the clouds to those in the two views, ``[B, 3, 4]``.
        among: the other view's cells of the same level.

    Returns:
        int64 ``[R]``; -1 where there is none.
    """
    sample = cells.sample[rows]
    place = torch.linalg.solve(theta[sample, :, :3], cells.position[rows] - theta[sample, :, 3])
    place = (other[sample, :, :3] @ place[..., None])[..., 0] + other[sample, :, 3]
    cell = (place / among.size).floor().long()
    best = torch.full_like(sample, -1)
    least = torch.full_like(place[:, 0], among.size)
    for offset in AROUND:
        at = among.find(sample, cell + torch.tensor(offset, device=cell.device))
        away = (among.position[at.clamp_min(0)] - place).norm(dim=1)
        nearer = (at >= 0) & (away < least)
        best, least = torch.where(nearer, at, best), torch.where(nearer, away, least)
    return best
