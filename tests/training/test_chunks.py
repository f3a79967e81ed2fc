"""Training in chunks from the outside: the same run as all at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tacit
from tacit.errors import OptionError

PLAIN = {"norm": "layer", "encoder.norm": "group", "optimizer": "sgd"}


@pytest.mark.parametrize(
    ("method", "precision", "close"),
    [
        ("simclr", "32-true", {"rtol": 1.3e-6, "atol": 1e-5}),
        ("simclr", "64-true", {"rtol": 1e-7, "atol": 1e-12}),
        ("vicreg", "64-true", {"rtol": 1e-7, "atol": 1e-12}),
        ("barlow-twins", "64-true", {"rtol": 1e-7, "atol": 1e-12}),
    ],
)
def test_chunks_train_the_weights_of_the_whole_batch(
    method: str, precision: str, close: dict[str, float], tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    options = PLAIN | {"precision": precision, "lr": 0.05 if method == "simclr" else 1e-3}
    runs = {
        chunk: tacit.pretrain(
            small_images[0], method, "convnet", steps=5, batch_size=32, out=tmp_path / str(chunk), quiet=True,
            log_every=1, options=options | {"chunk": chunk},
        )
        for chunk in (0, 8, 5)
    }  # fmt: skip
    whole = load_file(runs[0].folder / "method.safetensors")
    blank = runs[0].random_encoder().state_dict()
    assert not all(torch.equal(whole[f"encoder.{k}"], v) for k, v in blank.items())
    for chunk in (8, 5):
        for name, value in load_file(runs[chunk].folder / "method.safetensors").items():
            torch.testing.assert_close(value, whole[name], **close, msg=lambda m, n=name: f"{n}: {m}")
        np.testing.assert_allclose(runs[chunk].metrics["loss"], runs[0].metrics["loss"], rtol=10 * close["rtol"])


def test_what_would_not_be_exact_is_refused(tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(OptionError, match="batch norm"):
        tacit.pretrain(small_images[0], steps=2, out=tmp_path / "a", quiet=True, chunk=8)
    with pytest.raises(OptionError, match="cannot train in chunks"):
        tacit.pretrain(small_images[0], "byol", steps=2, out=tmp_path / "b", quiet=True, chunk=8)
