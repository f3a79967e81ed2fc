"""Volumes in space: which way their axes point, how far their voxels lie apart, how large they are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError

LARGEST = 128
"""Voxels along a side up to which the median volume is kept at its own spacing by default."""
WHOLE = 8
"""What sides are a multiple of where they are chosen for volumes of different size, so that they halve three times."""

Floats = NDArray[np.float32]
Three = tuple[float, float, float]
Sides = tuple[int, int, int]


def upright(values: Floats, directions: NDArray[np.floating]) -> tuple[Floats, list[int]]:
    """A volume with its axes in the nearest of the standard directions: up (to the head), back and left.

    Args:
        values: ``[C, n1, n2, n3]``.
        directions: ``[3, 3]``, column i is the direction of axis i of the volume, of any length, in millimetres to the
            left, back and up of the patient (LPS, as DICOM has it).

    Returns:
        ``[C, D, H, W]``, and which axis of the given ones became each of D, H, W.
    """
    wanted = np.abs(directions[::-1] / np.linalg.norm(directions, axis=0))  # rows: up, back, left
    axes = max(itertools.permutations(range(3)), key=lambda p: sum(wanted[row, axis] for row, axis in enumerate(p)))
    turned = values.transpose(0, *(axis + 1 for axis in axes))
    backwards = [row + 1 for row, axis in enumerate(axes) if directions[2 - row, axis] < 0]
    return np.flip(turned, tuple(backwards)), list(axes)


def common(
    sides: Sequence[Sides], spacings: Sequence[Three] | None, spacing: Three | None, size: Sides | None
) -> tuple[Three | None, Sides]:
    """The spacing and the size that volumes are brought to.

    By default the median spacing along each axis, or what brings the median volume to :data:`LARGEST` voxels where it
    has more; and the median size at that spacing, a multiple of :data:`WHOLE` where sizes differ.

    Args:
        sides: voxels of each volume along D, H, W.
        spacings: of each, in mm; None where they are not known.
        spacing, size: what is asked for.
    """
    counts = np.array(sides, float)
    if spacings is not None:
        extent = counts * np.array(spacings)
        if spacing is None:
            usual = np.maximum(np.median(spacings, axis=0), np.median(extent, axis=0) / LARGEST)
            # the millionth part of a millimetre is measuring error, and would have everything resampled
            spacing = tuple(float(f"{s:.6g}") for s in usual)  # type: ignore[assignment]
        counts = np.maximum(1, np.round(extent / np.array(spacing)))
    if size is None:
        middle = np.median(counts, axis=0)
        if (counts != counts[0]).any():
            middle = np.where(middle >= WHOLE, np.ceil(middle / WHOLE) * WHOLE, np.ceil(middle))
        size = tuple(int(n) for n in middle)  # type: ignore[assignment]
    assert size is not None
    return spacing, size


def resampled(values: Floats, spacing: Three, wanted: Three) -> Floats:
    """A volume ``[C, D, H, W]`` at another spacing: linear between voxels, and averaged with a triangle where it
    becomes coarser. It stays centred where it is."""
    for axis, (have, want) in enumerate(zip(spacing, wanted, strict=True), 1):
        if abs(have / want - 1) > 1e-3:
            weights = triangle(values.shape[axis], have, want)
            values = np.moveaxis(np.tensordot(values, weights, axes=([axis], [1])), -1, axis)
    return np.ascontiguousarray(values)


def triangle(count: int, have: float, want: float) -> Floats:
    """Weights of ``count`` voxels ``have`` apart in each of those ``want`` apart, ``[after, count]``; rows sum to 1."""
    after = max(1, round(count * have / want))
    centre = ((np.arange(after) - (after - 1) / 2) * want / have + (count - 1) / 2).clip(0, count - 1)
    reach = max(1.0, want / have)
    weights = (1 - np.abs(np.arange(count) - centre[:, None]) / reach).clip(0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def fitted(values: Floats, size: Sides) -> Floats:
    """The middle of a volume ``[C, D, H, W]`` in so many voxels; what is missing gets the channel's smallest value."""
    low = values.min((1, 2, 3))
    out = np.empty((len(values), *size), np.float32)
    out[:] = low[:, None, None, None]
    into, taken = [], []
    for have, want in zip(values.shape[1:], size, strict=True):
        kept = min(have, want)
        into.append(slice((want - kept) // 2, (want - kept) // 2 + kept))
        taken.append(slice((have - kept) // 2, (have - kept) // 2 + kept))
    channels = slice(None)
    here, there = (channels, *into), (channels, *taken)
    out[here] = values[there]
    return out


def standardised(values: Floats) -> Floats:
    """Each channel ``[C, D, H, W]`` at zero mean and unit variance; one that does not change is zero."""
    mean = values.mean((1, 2, 3), keepdims=True, dtype=np.float64)
    off = values - mean
    spread = np.sqrt(np.square(off).mean((1, 2, 3), keepdims=True))
    return (off / np.where(spread > 1e-6 * np.maximum(np.abs(mean), 1e-6), spread, np.inf)).astype(np.float32)


def check_finite(values: Floats, where: str) -> None:
    """Refuse a volume with missing values.

    Raises:
        DataError: naming the file and the first voxel.
    """
    bad = ~np.isfinite(values)
    if bad.any():
        first = tuple(int(place[0]) for place in np.nonzero(bad))
        channel, *voxel = first
        raise DataError(
            f"{where}: {int(bad.sum())} voxels are not finite, the first is {values[first]} at "
            f"{voxel} of channel {channel}; leave the file out, or say --set data.fill=0 for a value to put there"
        )
