"""What protects the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import tacit
from tacit.errors import TrainingStopped
from tacit.methods.contrastive.simclr import SimCLR
from tacit.training import checkpoints


class Poisoned(SimCLR):
    """SimCLR whose loss, or only its gradient, is NaN in the sixth step."""

    kind = "loss"

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__(encoder)
        self.calls = 0

    def loss(self, batch: dict[str, Any]) -> Tensor:
        self.calls += 1
        value = super().loss(batch)
        assert isinstance(value, Tensor)
        if self.calls != 6:
            return value
        return value * float("nan") if self.kind == "loss" else value + (value - value.detach()).sqrt()


class PoisonedGradient(Poisoned):
    kind = "gradient"


@pytest.mark.parametrize("method", [Poisoned, PoisonedGradient])
def test_bad_numbers_never_reach_the_weights(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray], method: type
) -> None:
    options = {"batch_size": 16, "quiet": True, "seed": 5, "schedule": "constant"}
    with pytest.raises(
        TrainingStopped, match=r"stopped at step 6: .*(loss is not finite|gradient's norm is (nan|inf))"
    ):
        tacit.pretrain(small_images[0], method, steps=10, out=tmp_path / "bad", **options)  # type: ignore[arg-type]
    good = tacit.pretrain(small_images[0], "simclr", steps=5, out=tmp_path / "good", **options)  # type: ignore[arg-type]
    saved = checkpoints.latest(tmp_path / "bad" / "checkpoints")
    expected = checkpoints.latest(good.folder / "checkpoints")
    assert saved is not None
    assert expected is not None
    assert saved["step"] == 5
    for key, value in expected["method"].items():
        assert torch.equal(value, saved["method"][key]), key


def test_nan_in_the_data_is_refused_before_training(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((20, 1, 8, 8), np.float32)
    data[3, 0, 2, 2] = np.nan
    with pytest.raises(tacit.TacitError, match="NaN"):
        tacit.pretrain(data, out=tmp_path / "r", quiet=True)
    assert not (tmp_path / "r").exists()


def test_labels_never_reach_a_method_that_does_not_use_them(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    seen: list[set[str]] = []

    class Looks(SimCLR):
        def loss(self, batch: dict[str, Any]) -> Tensor:
            seen.append(set(batch))
            return super().loss(batch)  # type: ignore[return-value]

    np.savez(tmp_path / "d.npz", x=small_images[0], y=small_images[1])
    tacit.pretrain(tmp_path / "d.npz", Looks, steps=2, batch_size=16, out=tmp_path / "a", quiet=True)
    Looks.uses_labels = True
    tacit.pretrain(tmp_path / "d.npz", Looks, steps=2, batch_size=16, out=tmp_path / "b", quiet=True)
    assert "y" not in seen[0]
    assert "y" in seen[-1]
