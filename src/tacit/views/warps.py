"""Dense sampling grids: what to look up where, how much it folds and stretches, and where a point ends up.

A grid ``y`` gives for every cell of the output the place in the input that is looked up, ``[B, *shape, d]``,
in the convention of :func:`torch.nn.functional.grid_sample` with ``align_corners=False``: coordinates run
from -1 to 1 between the outer edges, the last axis of the data first. Ranks 2 and 3.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tacit.errors import DataError


def centres(shape: tuple[int, ...], device: torch.device | str = "cpu") -> Tensor:
    """The identity grid, the centre of every cell: float32 ``[*shape, d]``."""
    axes = [(torch.arange(n, device=device) + 0.5) * (2 / n) - 1 for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)


def sample(x: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Look data up at a grid, reflected at the borders: ``[B, C, *shape]`` -> ``[B, C, *shape of the grid]``."""
    return F.grid_sample(x, grid.to(x.dtype), mode=mode, padding_mode="reflection", align_corners=False)


def sample_labels(labels: Tensor, grid: Tensor) -> Tensor:
    """Look up the nearest value of masks of any dtype, with or without a channel axis; the dtype stays.

    Args:
        labels: ``[B, *shape]`` or ``[B, C, *shape]``.

    Raises:
        DataError: if the masks have another number of axes or of samples than the grid.
    """
    rank = grid.shape[-1]
    if labels.ndim - rank not in (1, 2) or len(labels) != len(grid):
        raise DataError(
            f"masks must be [B, H, W] or [B, C, H, W] with B = {len(grid)} for this grid, not {tuple(labels.shape)}"
        )
    x = labels if labels.ndim == rank + 2 else labels[:, None]
    out = sample(x.double(), grid, mode="nearest")  # double holds every integer label exactly up to 2**53
    return out.to(labels.dtype).reshape(*labels.shape[: labels.ndim - rank], *grid.shape[1:-1])


def reflect(grid: Tensor) -> Tensor:
    """The coordinates that reflection at the borders looks up: in [-1, 1], same shape."""
    turn = grid - 4 * (grid / 4).round()  # two reflections are a shift by 4
    return 2 * turn.clamp(-1, 1) - turn


def determinant(grid: Tensor) -> Tensor:
    """det J of ``J = dy/dx`` by finite differences (central inside, one-sided at the borders): ``[B, *shape]``.

    1 where nothing is stretched, below 0 where the grid folds over. Every axis needs two cells at least.
    """
    shape = grid.shape[1:-1]
    slopes = [torch.gradient(grid, spacing=2 / n, dim=a + 1)[0] for a, n in enumerate(shape)]
    return torch.linalg.det(torch.stack(slopes[::-1], -1))


def invert(grid: Tensor, points: Tensor, steps: int = 50, tolerance: float = 0.05) -> tuple[Tensor, Tensor]:
    """Where in the output the given points of the input are: the fixed point of ``x <- x - (y(x) - target)``.

    It converges where the warp's displacement is a contraction: mild warps, and turns of less than 60 degrees.

    Args:
        points: ``[B, N, d]`` in pixels, (0, 0) the centre of the first, last axis first: (column, row).
        steps: iterations.
        tolerance: how far, in pixels, ``y(x)`` may be from the target for a point to count as found.

    Returns:
        The points in the output, ``[B, N, d]``, which may lie outside of it, and which of them were found,
        bool ``[B, N]``.
    """
    shape = grid.shape[1:-1]
    size = torch.tensor(shape[::-1], device=grid.device, dtype=grid.dtype)
    target = (points.to(grid) * 2 + 1) / size - 1
    shift = (grid - centres(tuple(shape), grid.device)).movedim(-1, 1)
    x = target.clone()
    for _ in range(steps + 1):
        at = x.reshape(len(x), *[1] * (len(shape) - 1), -1, len(shape))
        moved = F.grid_sample(shift, at, padding_mode="border", align_corners=False)
        error = x + moved.flatten(2).mT - target
        found = (error * size / 2).norm(dim=-1) < tolerance
        last, x = x, x - error
    return ((last + 1) * size - 1) / 2, found
