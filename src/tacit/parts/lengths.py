"""Places of samples that are padded."""

from __future__ import annotations

import torch
from torch import Tensor


def inside(length: Tensor, width: int) -> Tensor:
    """Which of ``width`` places are real: int64 ``[B] -> bool [B, width]``."""
    return torch.arange(width, device=length.device) < length[:, None]
