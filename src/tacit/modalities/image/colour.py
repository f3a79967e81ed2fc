"""Colour changes of a batch of images, each sample with its own strengths and its own order of changes.

The operations are those of ``torchvision.transforms.v2.functional`` on float images, including the clamp after each.
Brightness, contrast and saturation are one kind of step (:func:`blend`), so samples with different orders share a
pass over memory; the turn of the hue stands between these steps.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.modalities.image.boxes import take_rows
from tacit.modalities.image.geometry import chunk_rows
from tacit.parts.draws import Draws

LUMA = (0.2989, 0.587, 0.114)
NUMBERS = 9
"""Uniform numbers that one jitter needs: whether, four strengths, four for the order."""
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
SOLARIZE_FROM = 128 / 255

Limits = tuple[Tensor | float, Tensor | float]


def luma(x: Tensor) -> Tensor:
    """Perceived lightness ``[N, H, W]`` of RGB ``[N, 3, H, W]``; for other channel counts the mean of the channels."""
    if x.shape[1] != 3:
        return x.mean(1)
    grey = x[:, 0] * LUMA[0]
    return grey.add_(x[:, 1], alpha=LUMA[1]).add_(x[:, 2], alpha=LUMA[2])


def limits_of(x: Tensor, unit: bool) -> Limits:
    """The range that colour changes stay in: [0, 1], or for a float image that leaves it, the image's own range."""
    if unit:
        return 0.0, 1.0
    flat = x.flatten(1)
    low, high = flat.amin(1).clamp_max(0), flat.amax(1).clamp_min(1)
    return low[:, None, None, None], high[:, None, None, None]


def limits_rows(limits: Limits, rows: Tensor | slice) -> Limits:
    """The limits of some of the samples."""
    low, high = limits
    if isinstance(low, Tensor) and isinstance(high, Tensor):
        return low[rows], high[rows]
    return limits


def clamp_(x: Tensor, limits: Limits) -> Tensor:
    low, high = limits
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        # Two binary passes are several times faster than a clamp whose bounds are broadcast.
        return torch.minimum(torch.maximum(x, torch.as_tensor(low), out=x), torch.as_tensor(high), out=x)
    return x.clamp_(low, high)


def blend(x: Tensor, matrix: Tensor, to_mean: Tensor, limits: Limits, out: Tensor | None = None) -> Tensor:
    """One step of brightness, contrast or saturation: ``clamp(matrix x + to_mean mean(luma(x)))``.

    Brightness by ``f`` has the matrix ``f I``; contrast ``f I`` and ``to_mean`` ``1 - f``; saturation of RGB
    ``f I + (1 - f) 1 luma^T``.

    Args:
        x: ``[N, C, H, W]``.
        matrix: between channels, ``[N, C, C]``; or only the factor ``f``, ``[N, 1, 1]``.
        to_mean: ``[N, 1]``.
        limits: of the clamp.
        out: where to write the result, not ``x``.
    """
    n, channels = x.shape[:2]
    out = torch.empty_like(x) if out is None else out
    flat, pixels = out.view(n, channels, -1), x.view(n, channels, -1)
    means = pixels.mean(2)
    level = means @ _luma(x.device)[:, None] if channels == 3 else means.mean(1, keepdim=True)
    level = level.mul_(to_mean)[:, :, None]
    if matrix.shape[1] == channels > 1:
        torch.baddbmm(level.expand(n, channels, 1), matrix, pixels, out=flat)
    else:
        torch.mul(pixels, matrix, out=flat).add_(level)
    return clamp_(out, limits)


@functools.lru_cache(maxsize=8)
def _luma(device: torch.device) -> Tensor:
    return torch.tensor(LUMA, device=device)


def turn_hue_(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of RGB images ``[N, 3, H, W]`` by ``turn`` (``[N]``, in whole circles), in place.

    Exact in HSV: with hue measured from red in sixths of the circle, each channel is a clipped linear function of
    the hue's distance from that channel's own, times the chroma. No branch on which channel is largest is needed:
    the unsigned hue is ``1 + (max(g, b) + max(min(g, b), r) - 2 r) / chroma``, its sign that of ``g - b``.
    """
    red, green, blue = x.unbind(1)
    above, below = torch.maximum(green, blue), torch.minimum(green, blue)
    most, least = torch.maximum(above, red), torch.minimum(below, red)
    chroma = torch.sub(most, least).add_(1e-12)
    hue = torch.maximum(below, red, out=below).add_(above).sub_(red, alpha=2.0).add_(chroma).div_(chroma)
    hue.copysign_(torch.sub(green, blue, out=above)).add_((6.0 * turn)[:, None, None])
    hue.sub_(torch.mul(hue, 1 / 6, out=above).round_(), alpha=6.0)
    # Red loses chroma with the distance from its own hue; green and blue gain it with that from their opposites.
    torch.addcmul(most, chroma, torch.abs(hue, out=above).sub_(1.0).clamp_(0.0, 1.0), value=-1, out=red)
    torch.addcmul(least, chroma, torch.add(hue, 1.0, out=above).abs_().sub_(1.0).clamp_(0.0, 1.0), out=green)
    torch.addcmul(least, chroma, torch.sub(hue, 1.0, out=above).abs_().sub_(1.0).clamp_(0.0, 1.0), out=blue)
    return x


def solarize_(x: Tensor, limits: Limits) -> Tensor:
    """Invert the pixels from :data:`SOLARIZE_FROM` up, in place; the inverse of ``v`` is ``1 - v`` in [0, 1]."""
    low, high = limits
    return torch.where(x >= SOLARIZE_FROM, low + high - x, x, out=x)


@dataclass
class Jitter:
    """What was drawn for the colours of ``N`` samples, on the CPU.

    Attributes:
        factors: brightness, contrast, saturation (1 changes nothing) and turn of hue (0 changes nothing), ``[N, 4]``.
        order: the changes in the order in which they are made, int64 ``[N, 4]``.
        stage: after how many of the other changes hue is turned, 0 to 3; 4 where nothing is changed at all.
    """

    factors: Tensor
    order: Tensor
    stage: Tensor

    @classmethod
    def draw(cls, u: Tensor, strengths: tuple[float, float, float, float], probability: float) -> Jitter:
        """Draw from uniform numbers ``u``, ``[N, NUMBERS]``, with ``torchvision``'s ranges for ``strengths``."""
        wide = torch.tensor(strengths)
        low = torch.cat([(1 - wide[:3]).clamp_min(0), -wide[3:]])
        high = torch.cat([1 + wide[:3], wide[3:]])
        chosen = u[:, 0] < probability
        neutral = torch.tensor([1.0, 1.0, 1.0, 0.0])
        factors = torch.where(chosen[:, None], low + (high - low) * u[:, 1:5], neutral)
        order = u[:, 5:9].argsort(1)
        at = (order == HUE).to(torch.uint8).argmax(1)
        return cls(factors, order, torch.where(chosen, at, torch.full_like(at, 4)))

    def params(self, channels: int = 3) -> dict[str, Tensor]:
        """Factors by name (``[N]`` each) and ``order``; only brightness and contrast unless there are 3 channels."""
        if channels != 3:
            return {"brightness": self.factors[:, 0], "contrast": self.factors[:, 1]}
        names = ("brightness", "contrast", "saturation", "hue")
        return {name: self.factors[:, i] for i, name in enumerate(names)} | {"order": self.order}

    def changes(self, channels: int, device: torch.device) -> Changes:
        """What to do to images with so many channels on ``device``."""
        kinds = self.order[self.order != HUE].view(-1, 3)
        if channels != 3:
            kinds = kinds[kinds != SATURATION].view(-1, 2)
        factor = self.factors.gather(1, kinds)
        rest, zero = 1.0 - factor, torch.zeros_like(factor)
        matrix = factor[..., None, None]
        turn = None
        if channels == 3:
            to_luma = torch.where(kinds == SATURATION, rest, zero)[..., None, None]
            matrix = (matrix * torch.eye(3) + to_luma * torch.tensor(LUMA)).to(device)
            turn = self.factors[:, HUE].to(device) if bool((self.factors[:, HUE] != 0.0).any()) else None
        to_mean = torch.where(kinds == CONTRAST, rest, zero)[..., None]
        return Changes(self.stage.tolist(), turn, matrix.to(device), to_mean.to(device))


@dataclass
class Changes:
    """The changes of :class:`Jitter` in the form in which they are made.

    Attributes:
        stage: as there, ``N`` of them in ascending order.
        turn: of the hue, ``[N]``, or None where none is turned.
        matrix, to_mean: what :func:`blend` wants for each step, ``[N, steps, ...]``.
    """

    stage: list[int]
    turn: Tensor | None
    matrix: Tensor
    to_mean: Tensor

    def apply(self, x: Tensor, rows: slice, limits: Limits, room: Tensor) -> Tensor:
        """The changed images of ``x``, whose samples were drawn at ``rows``.

        ``x`` and ``room``, of equal shape, are overwritten; the result is one of them.
        """
        cuts = [bisect.bisect_left(self.stage, s, rows.start, rows.stop) for s in range(5)]
        count = cuts[4] - rows.start
        if not count:
            return x
        limits = limits_rows(limits, slice(count))
        room[count:] = x[count:]
        for stage in range(4):
            low, high = cuts[stage], cuts[stage + 1]
            if self.turn is not None and low < high:
                turn_hue_(x[low - rows.start : high - rows.start], self.turn[low:high])
            if stage < self.matrix.shape[1]:
                part = slice(rows.start, cuts[4])
                blend(x[:count], self.matrix[part, stage], self.to_mean[part, stage], limits, room[:count])
                x, room = room, x
        return x


def jitter(
    x: Tensor,
    draws: Draws,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
    probability: float = 0.8,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Change the colours of every sample with its own strengths in its own order, as ``ColorJitter`` does for one.

    Images that have not three channels have no hue, saturation or luma: brightness and contrast change all channels
    together, and the pivot of the contrast is the mean of all channels.

    Args:
        x: ``[B, C, H, W]`` in [0, 1]; it is not changed.
        draws: where the numbers come from.
        brightness, contrast, saturation: factors are drawn from ``[max(0, 1 - s), 1 + s]``.
        hue: the turn is drawn from ``[-hue, hue]`` of the circle, at most 0.5.
        probability: of changing a sample at all.

    Returns:
        The images and the parameters, ``[B, ...]`` each.
    """
    u = draws.on("cpu").uniform(len(x), NUMBERS)
    drawn = Jitter.draw(u, (brightness, contrast, saturation, hue), probability)
    rows = drawn.stage.argsort(stable=True)
    out = x.index_select(0, rows.to(x.device))
    size = chunk_rows(len(x), x[0].numel(), x.device)
    changes, room = take_rows(drawn, rows).changes(x.shape[1], x.device), torch.empty_like(out[:size])
    for i in range(0, len(x), size):
        part = slice(i, min(i + size, len(x)))
        out[part] = changes.apply(out[part], part, (0.0, 1.0), room[: part.stop - i])
    back = out.index_select(0, rows.argsort().to(x.device))
    return back, {key: value.to(x.device) for key, value in drawn.params(x.shape[1]).items()}
