"""Images written to disk, and everything read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tacit.modalities.image.reading import ImageSource


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def everything(source: ImageSource) -> torch.Tensor:
    return source.batch(torch.arange(len(source)))["x"]
