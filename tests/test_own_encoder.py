"""A module of the user's own as the encoder, from training to the opened run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tacit
from tacit.errors import OptionError, RunError
from tacit.methods.contrastive.simclr import SimCLR


def net(width: int = 12) -> nn.Module:
    """Maps ``[B, width, h, w]``, so that it has to be wrapped, and does not say how wide it is."""
    return nn.Sequential(nn.Conv2d(1, width, 5, 4), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3))


class Mine(SimCLR):
    """A method that nobody registered."""


@pytest.fixture(scope="module")
def given() -> nn.Module:
    torch.manual_seed(99)
    return net()


@pytest.fixture(scope="module")
def run(
    given: nn.Module, tmp_path_factory: pytest.TempPathFactory, small_images: tuple[np.ndarray, np.ndarray]
) -> tacit.Run:
    out = tmp_path_factory.mktemp("own") / "run"
    return tacit.pretrain(small_images[0], Mine, given, steps=8, batch_size=32, out=out, lr=0.01, quiet=True)


def expected(module: nn.Module, run: tacit.Run, x: np.ndarray) -> Tensor:
    """Embeddings by hand: the map's mean over positions."""
    mean, std = run.spec.mean[0], run.spec.std[0]
    module.eval()
    with torch.no_grad():
        return module((torch.from_numpy(x).float() / 255 - mean) / std).mean((2, 3))


def test_the_module_itself_is_left_as_it_was(given: nn.Module, run: tacit.Run) -> None:
    torch.manual_seed(99)
    for mine, blank in zip(given.state_dict().values(), net().state_dict().values(), strict=True):
        assert torch.equal(mine, blank)
    assert "custom" in repr(run)


def test_an_opened_run_has_the_trained_weights_and_the_first_ones(
    run: tacit.Run, given: nn.Module, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    x = small_images[0]
    other = net()  # of the same shape, with other weights
    before = [p.clone() for p in other.parameters()]
    opened = tacit.load(run.folder, other)
    trained = opened.embed(x)
    np.testing.assert_array_equal(trained, run.embed(x))
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))

    blank = torch.cat(list(opened.stream(opened.open(x), opened.random_encoder()))).numpy()
    np.testing.assert_allclose(blank, expected(given, run, x), rtol=1e-4, atol=1e-5)
    assert np.abs(blank - trained).max() > 0.01
    np.testing.assert_array_equal(opened.embed(x), trained)  # the random encoder is another module


def test_it_is_evaluated_with_its_projection(
    run: tacit.Run, small_images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    result = tacit.evaluate(run, small_images, k=3)
    assert set(result["knn"]) == {"raw", "random", "trained"}
    assert result["rankme"]["projection"] >= 1
    assert tacit.evaluate(tacit.load(run.folder, net(), Mine), small_images, k=3) == result
    # a stranger to the method still gets all that the encoder gives
    without = tacit.evaluate(tacit.load(run.folder, net()), small_images, k=3)
    assert without["linear"] == result["linear"]
    assert "projection" not in without["rankme"]


def test_what_does_not_fit_is_named(run: tacit.Run, small_images: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(RunError, match="encoder of your own"):
        tacit.load(run.folder).embed(small_images[0])
    with pytest.raises(RunError, match=r"encoder\.safetensors does not fit"):
        tacit.load(run.folder, net(16)).embed(small_images[0])
    with pytest.raises(OptionError, match=r"encoder\.width"):
        tacit.pretrain(small_images[0], encoder=net(), steps=1, quiet=True, options={"encoder.width": 3})
    with pytest.raises(OptionError, match=r"must give \[B, D\]"):
        tacit.pretrain(small_images[0], encoder=nn.Flatten(0), steps=1, quiet=True)


def test_it_resumes(run: tacit.Run, given: nn.Module, small_images: tuple[np.ndarray, np.ndarray]) -> None:
    first = (run.folder / "initial.safetensors").read_bytes()
    again = tacit.pretrain(small_images[0], Mine, given, out=run.folder, resume=True, steps=12, quiet=True)
    assert again.summary["steps"] == 12
    assert (run.folder / "initial.safetensors").read_bytes() == first
