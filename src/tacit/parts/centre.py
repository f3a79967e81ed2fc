"""A slow average of a teacher's scores, which is taken from them so that no prototype wins for all samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tacit.parts import ranks


class CentredTeacher(nn.Module):
    """From a teacher's scores to probabilities: centred, sharpened by a temperature that rises at first.

    Centre and progress are buffers, so that a resumed run goes on with them. The centre is that of all ranks.

    Args:
        prototypes: number of scores, K.
        temperature: after the rise, positive.
        first: at the start, positive.
        rise: share of the training over which it rises, in [0, 1].
        momentum: weight of the old centre, in [0, 1).

    Shape: ``[..., K] -> [..., K]``.

    Source: Caron et al. 2021, Emerging Properties in Self-Supervised Vision Transformers, eq. 4 and section 3.1.

    Raises:
        ValueError: for a value out of its range.
    """

    centre: Tensor
    progress: Tensor

    def __init__(
        self, prototypes: int, temperature: float = 0.07, first: float = 0.04, rise: float = 0.1, momentum: float = 0.9
    ) -> None:
        super().__init__()
        if not (temperature > 0 and first > 0):
            raise ValueError(f"temperatures must be positive, not {temperature} and {first}")
        if not 0 <= rise <= 1:
            raise ValueError(f"the rise is a share of the training from 0 to 1, not {rise}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), not {momentum}")
        self.temperature, self.first, self.rise, self.momentum = temperature, first, rise, momentum
        self.register_buffer("centre", torch.zeros(prototypes))
        self.register_buffer("progress", torch.zeros(()))

    @torch.no_grad()
    def forward(self, scores: Tensor) -> Tensor:
        """Probabilities; in training the scores then move the centre."""
        with torch.autocast(scores.device.type, enabled=False):
            scores = scores.to(self.centre.dtype)
            found = ((scores - self.centre) / self.temperature_now()).softmax(-1)
            if self.training:
                rows = scores.flatten(0, -2)
                count = ranks.total(torch.tensor(float(len(rows)), dtype=rows.dtype, device=rows.device))
                mean = ranks.total(rows.sum(0)) / count.clamp_min(1)
                self.centre.lerp_(torch.where(count > 0, mean, self.centre), 1 - self.momentum)
        return found

    def temperature_now(self) -> Tensor:
        """The temperature at this point of the training."""
        share = (self.progress / self.rise).clamp(max=1) if self.rise else torch.ones_like(self.progress)
        return self.first + (self.temperature - self.first) * share
