"""Random field transforms to test, and images for them."""

from __future__ import annotations

import torch

from tacit.modalities.image.local_changes import FAMILIES
from tacit.modalities.image.random_field import RandomField

GLOBAL = {f"{name}_length": 1e6 for name in FAMILIES}
EXTRAS = {"contrast": 0.3, "gamma": 0.3, "blur": 0.02, "noise": 0.1}


def only(*names: str, **options: object) -> RandomField:
    """A transform with these families alone, on every image."""
    return RandomField(p={name: float(name in names) for name in FAMILIES}, **options)


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# --- the global limit
