"""Embeddings of single tokens from a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import OptionError
from tacit.parts.tokens import tokens_of

SMALL = {"encoder.width": 16, "encoder.depth": 1, "encoder.heads": 2}


def test_only_real_tokens_are_given_and_their_mean_is_the_embedding(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    series = [random.normal(size=(2, n)).astype(np.float32) for n in (40, 64, 17, 64, 33, 50)]
    run = tacit.pretrain(
        series, "masked-autoencoder", steps=2, batch_size=4, out=tmp_path / "run", modality="series", quiet=True,
        options=SMALL,
    )  # fmt: skip
    found = run.tokens(series, batch_size=2)
    source = run.open(series)
    for i, embedding in enumerate(run.embed(series)):
        own = found.x[found.sample == i]
        cut = tokens_of(run.encoder, run.evaluation_view()(source.batch(torch.tensor([i])))[0])
        assert len(own) == int(cut.counts())
        torch.testing.assert_close(own.mean(0), torch.from_numpy(embedding), rtol=1e-4, atol=1e-5)
    assert found.position.shape == (len(found.x), 1)
    assert bool((found.position[:, 0].diff()[found.sample.diff() == 0] > 0).all())


def test_an_encoder_without_tokens_is_refused(tmp_path: Path) -> None:
    images = np.zeros((8, 1, 16, 16), np.uint8)
    run = tacit.pretrain(images, "simclr", "convnet", steps=1, batch_size=4, out=tmp_path / "run", quiet=True)
    with pytest.raises(OptionError, match="no tokens"):
        run.tokens(images)
