"""Colour changes of a batch of images, each sample with its own strengths and its own order of changes.

The operations are those of ``torchvision.transforms.v2.functional`` on float images, including the clamp after each.
Brightness, contrast and saturation are one kind of step (:func:`blend_`), so samples with different orders share a
pass over memory; the turn of the hue stands between these steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.modalities.image.geometry import chunk_rows, take_rows
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


def blend_(x: Tensor, factor: Tensor, to_mean: Tensor, to_luma: Tensor, limits: Limits) -> Tensor:
    """One step of brightness, contrast or saturation, in place.

    ``x <- clamp(factor x + to_mean mean(luma(x)) + to_luma luma(x))``. Brightness by ``f`` is ``(f, 0, 0)``, contrast
    ``(f, 1 - f, 0)``, saturation ``(f, 0, 1 - f)``.

    Args:
        x: ``[N, C, H, W]``.
        factor, to_mean, to_luma: ``[N]``.
        limits: of the clamp.
    """
    target = luma(x)
    level = target.flatten(1).mean(1).mul_(to_mean)
    target.mul_(to_luma[:, None, None]).add_(level[:, None, None])
    x.mul_(factor[:, None, None, None]).add_(target[:, None])
    return clamp_(x, limits)


def turn_hue_(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of RGB images ``[N, 3, H, W]`` by ``turn`` (``[N]``, in whole circles), in place.

    Exact in HSV: with hue measured from red in sixths of the circle, each channel is a clipped linear function of
    the hue's distance from that channel's own, times the chroma. No branch on which channel is largest is needed:
    the unsigned hue is ``1 + (max(g, b) + max(min(g, b), r) - 2 r) / chroma``, its sign that of ``g - b``.
    """
    red, green, blue = x.unbind(1)
    above, below = torch.maximum(green, blue), torch.minimum(green, blue)
    most, least = torch.maximum(above, red), torch.minimum(below, red)
    chroma = most - least
    hue = torch.maximum(below, red, out=below).add_(above).sub_(red, alpha=2.0).add_(chroma)
    hue.div_(least.copy_(chroma).clamp_min_(1e-12))
    hue.copysign_(torch.sub(green, blue, out=above)).add_((6.0 * turn)[:, None, None])
    hue.sub_(torch.mul(hue, 1 / 6, out=above).round_(), alpha=6.0)
    # Share of the chroma that is taken from the largest value: distance from the channel's hue, clipped.
    lack = torch.abs(hue, out=above).sub_(1.0).clamp_(0.0, 1.0)
    torch.addcmul(most, chroma, lack, value=-1, out=red)
    for channel, offset in ((green, 1.0), (blue, -1.0)):
        lack = torch.add(hue, offset, out=above).abs_().neg_().add_(2.0).clamp_(0.0, 1.0)
        torch.addcmul(most, chroma, lack, value=-1, out=channel)
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

    def changes(self, channels: int) -> Changes:
        """What to do to images with so many channels."""
        kinds = self.order[self.order != HUE].view(-1, 3)
        if channels != 3:
            kinds = kinds[kinds != SATURATION].view(-1, 2)
        factor = self.factors.gather(1, kinds)
        rest, zero = 1.0 - factor, torch.zeros_like(factor)
        to_mean, to_luma = (torch.where(kinds == kind, rest, zero) for kind in (CONTRAST, SATURATION))
        turn = self.factors[:, HUE] if channels == 3 else torch.zeros(len(kinds))
        return Changes(self.stage, turn, torch.stack([factor, to_mean, to_luma], 2))


@dataclass
class Changes:
    """The changes of :class:`Jitter` in the form in which they are made, on the CPU.

    Attributes:
        stage: as there, ``[N]``.
        turn: of the hue, ``[N]``.
        steps: what :func:`blend_` wants for each step, ``[N, steps, 3]``.
    """

    stage: Tensor
    turn: Tensor
    steps: Tensor

    def apply_(self, x: Tensor, limits: Limits) -> Tensor:
        """Change ``x`` in place; the samples must stand in order of :attr:`stage`."""
        ends = [0, *torch.searchsorted(self.stage, torch.arange(1, 5)).tolist()]
        count = ends[4]
        if count == 0:
            return x
        steps = self.steps[:count].permute(1, 2, 0).to(x.device)
        turns = x.shape[1] == 3 and bool((self.turn[:count] != 0.0).any())
        turn, limits = self.turn.to(x.device), limits_rows(limits, slice(count))
        for stage in range(4):
            rows = slice(ends[stage], ends[stage + 1])
            if turns and rows.start < rows.stop:
                turn_hue_(x[rows], turn[rows])
            if stage < len(steps):
                blend_(x[:count], *steps[stage].unbind(), limits)
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
    u = Draws(draws.generator).uniform(len(x), NUMBERS)
    drawn = Jitter.draw(u, (brightness, contrast, saturation, hue), probability)
    rows = drawn.stage.argsort(stable=True)
    out = x.index_select(0, rows.to(x.device))
    size = chunk_rows(len(x), x[0].numel(), x.device)
    ordered = take_rows(drawn.changes(x.shape[1]), rows)
    for i in range(0, len(x), size):
        part = slice(i, i + size)
        take_rows(ordered, part).apply_(out[part], (0.0, 1.0))
    back = out.index_select(0, rows.argsort().to(x.device))
    return back, {key: value.to(x.device) for key, value in drawn.params(x.shape[1]).items()}
