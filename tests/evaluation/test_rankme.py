import importlib

import numpy as np
import pytest
import torch

from tacit import registry
from tacit.errors import DataError
from tacit.evaluation import rankme, spectrum

module = importlib.import_module("tacit.evaluation.rankme")


def reference(z, eps=1e-7):
    s = np.linalg.svd(np.asarray(z, dtype=np.float64), compute_uv=False)
    p = s / s.sum() + eps
    return np.exp(-(p * np.log(p)).sum())


@pytest.fixture(params=["direct", "gram"])
def way(request, monkeypatch):
    if request.param == "gram":
        monkeypatch.setattr(module, "DIRECT", 0)
    return request.param


def test_orthonormal_columns_have_full_rank(way):
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 16)))
    assert rankme(q) == pytest.approx(16, abs=1e-3)
    found = spectrum(q)
    assert found.stable_rank == pytest.approx(16)
    assert found.participation_ratio == pytest.approx(16)
    assert found.top10_share == pytest.approx(10 / 16)
    assert found.hard_rank == 16


def test_rank_one_is_about_one(way):
    z = np.outer(np.arange(1, 101), np.arange(1, 9))
    assert rankme(z) == pytest.approx(1, abs=2e-5)
    assert spectrum(z).hard_rank == 1
    if way == "direct":  # the eps of the paper, and nothing else, lifts it above 1
        expected = np.exp(-(1 + 1e-7) * np.log(1 + 1e-7) - 7 * 1e-7 * np.log(1e-7))
        assert rankme(z) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(300, 40), (40, 300), (64, 64)])
@pytest.mark.filterwarnings("ignore:.*rank cannot exceed")
def test_equals_the_equation(way, shape):
    rng = np.random.default_rng(1)
    z = rng.normal(size=shape) * np.logspace(0, -3, shape[1])
    found = spectrum(z)
    s = np.linalg.svd(z.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(found.singular_values, s, rtol=1e-5)
    assert found.rankme == pytest.approx(reference(z), rel=1e-6)
    assert rankme(z) == found.rankme
    assert found.stable_rank == pytest.approx((s**2).sum() / s[0] ** 2)
    assert found.participation_ratio == pytest.approx((s**2).sum() ** 2 / (s**4).sum())
    assert found.top10_share == pytest.approx((s[:10] ** 2).sum() / (s**2).sum())
    assert found.hard_rank == min(shape)
    assert (found.n, found.dim) == shape


@pytest.mark.parametrize("shape", [(900, 30), (30, 900)])
def test_pieces_add_up(shape, monkeypatch):
    z = np.random.default_rng(2).normal(size=shape)
    monkeypatch.setattr(module, "DIRECT", 0)
    monkeypatch.setattr(module, "_step", lambda rows: 7)
    for options in ({}, {"center": True}, {"normalise": True}, {"center": True, "normalise": True}):
        given = z / np.linalg.norm(z, axis=1, keepdims=True) if options.get("normalise") else z
        given = given - given.mean(0) if options.get("center") else given
        expected = np.linalg.svd(given, compute_uv=False)
        found = spectrum(z + 0, **options).singular_values
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * expected[0])


def test_invariances(way):
    rng = np.random.default_rng(3)
    z = rng.normal(size=(120, 12)) * np.arange(1, 13)
    turn, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    for other in (1e-6 * z, 1e15 * z, -z, z @ turn, z[rng.permutation(120)], torch.tensor(z)):
        assert rankme(other) == pytest.approx(rankme(z), rel=1e-6)


def test_noise_raises_the_rank_without_helping():
    """The documented pitfall."""
    rng = np.random.default_rng(4)
    z = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 64))
    assert rankme(z) < 5
    assert rankme(z + 0.5 * rng.normal(size=z.shape)) > 20


def test_fewer_samples_than_dimensions_warns():
    z = np.random.default_rng(5).normal(size=(10, 30))
    with pytest.warns(UserWarning, match="rank cannot exceed 10"):
        assert rankme(z) <= 10.001
    assert len(spectrum(z).warnings) == 1
    assert spectrum(z.T).warnings == ()


@pytest.mark.parametrize(
    ("z", "options", "message"),
    [
        (np.zeros((10, 3)), {}, "all zero"),
        (np.full((10, 3), 0.1), {"center": True}, "the same"),
        (np.full((10, 3), np.nan), {}, "finite"),
        (np.ones((1, 3)), {}, "at least 2 samples"),
        (np.ones((4, 3)), {"eps": -1}, "eps"),
    ],
)
def test_rankme_bad_input(z, options, message):
    with pytest.raises(DataError, match=message):
        rankme(z, **options)
    with pytest.raises(ValueError):
        rankme(z, **options)


def test_plain_data_and_registration():
    import json

    row = spectrum(np.eye(3)).as_dict()
    assert json.loads(json.dumps(row))["rankme"] == pytest.approx(3, abs=1e-4)
    assert registry.find("rankme", "metric") is rankme
    assert registry.entry("rankme").basis == "code"
