"""What many tests share."""

from __future__ import annotations

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_images() -> tuple[np.ndarray, np.ndarray]:
    """96 small images of scattered digits with labels: uint8 ``[96, 1, 20, 20]`` and int64 ``[96]``."""
    from tacit.modalities.image.synthetic import scattered_digits

    return scattered_digits("train", count=96, size=20, clutter=1)
