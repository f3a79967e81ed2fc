import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tacit.sklearn import TLDR

FAST = {"projector": "mlp-1-16", "epochs": 3, "random_state": 0}


@parametrize_with_checks([TLDR(n_components=1, n_neighbors=2, **FAST)])
def test_keeps_scikit_learns_promises(estimator, check):
    check(estimator)


def lines(count=300, width=20, seed=0):
    """A curve with two parameters in noise: neighbours share the parameters, not the noise."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 2 * np.pi, (count, 2))
    clean = np.concatenate([np.cos(a), np.sin(a)], 1)
    return np.concatenate([2 * clean, rng.normal(size=(count, width - 4))], 1), a


@pytest.mark.parametrize("encoder", ["linear", "flinear-1-16", "mlp-1-16"])
def test_shapes_and_attributes(encoder):
    x, _ = lines()
    model = TLDR(4, encoder=encoder, **FAST)
    z = model.fit_transform(x)
    assert z.shape == (300, 4)
    assert np.isfinite(z).all()
    assert z.dtype == np.float64
    assert model.transform(x.astype(np.float32)).dtype == np.float32
    assert len(model.loss_curve_) == 3
    assert model.n_features_in_ == 20
    assert list(model.get_feature_names_out()) == ["tldr0", "tldr1", "tldr2", "tldr3"]
    np.testing.assert_allclose(np.linalg.norm(model.transform(x, l2_norm=True), axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(model.transform(x[:7]), z[:7], rtol=1e-10)


def test_linear_is_linear():
    x, _ = lines()
    model = TLDR(3, **FAST).fit(x)
    f = model.transform
    np.testing.assert_allclose(f(x[:5] + x[5:10]) + f(0 * x[:5]), f(x[:5]) + f(x[5:10]), atol=1e-10)


def test_it_finds_what_neighbours_share():
    """The four dimensions of the curve weigh more than those of the noise; with noise for pairs they do not."""
    x, _ = lines(600)
    x[:, 4:] *= 0.5

    def share(**options):
        model = TLDR(4, projector="mlp-1-64", batch_size=128, epochs=40, learning_rate=1.0, random_state=0, **options)
        weight = np.abs(next(p for p in model.fit(x).encoder_.parameters() if p.ndim == 2).detach().numpy())
        assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
        return weight[:, :4].mean() / weight[:, 4:].mean()

    assert share() > 1.3
    assert share(pairs="noise") < 1


def test_seeds_copies_and_pickles():
    x, _ = lines()
    one, same, other = (TLDR(3, **FAST | {"random_state": s}).fit(x) for s in (0, 0, 1))
    assert np.array_equal(one.transform(x), same.transform(x))
    assert not np.array_equal(one.transform(x), other.transform(x))
    assert np.array_equal(pickle.loads(pickle.dumps(one)).transform(x), one.transform(x))
    assert clone(one).get_params() == one.get_params()
    assert make_pipeline(StandardScaler(), TLDR(3, **FAST)).fit_transform(x).shape == (300, 3)


def test_the_callers_random_state_is_left_alone():
    import torch

    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    TLDR(3, **FAST).fit(lines()[0])
    assert (torch.rand(3) == expected).all()


def test_input_options():
    x, _ = lines()
    shifted = 5 + 3 * x
    a, b = (TLDR(3, standardize=True, **FAST).fit(data) for data in (x, shifted))
    np.testing.assert_allclose(a.transform(x), b.transform(shifted), atol=1e-3)
    unit = TLDR(3, normalize=True, **FAST).fit(x)
    np.testing.assert_allclose(unit.transform(x), unit.transform(7 * x), atol=1e-10)
    assert TLDR(3, metric="inner", **FAST).fit(x).transform(x).shape == (300, 3)
    assert TLDR(3, pairs="noise", **FAST).fit(x).transform(x).shape == (300, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_neighbors": 300}, "n_neighbors"),
        ({"n_components": 21}, "mlp encoder"),
        ({"n_components": 0}, "at least 1"),
        ({"encoder": "mlp"}, "mlp-LAYERS-WIDTH"),
        ({"projector": "linear"}, "projector must be an mlp"),
        ({"metric": "cosine"}, "metric"),
        ({"pairs": "views"}, "pairs"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 1e30}, "not finite|lower"),
    ],
)
def test_impossible_parameters(change, message):
    with pytest.raises(ValueError, match=message):
        TLDR(**{"n_components": 3} | FAST | change).fit(lines()[0])


def test_bad_data():
    x, _ = lines()
    with pytest.raises(ValueError, match="NaN"):
        TLDR(3, **FAST).fit(np.where(x > 2, np.nan, x))
    with pytest.raises(NotFittedError):
        TLDR(3, **FAST).transform(x)
    with pytest.raises(ValueError, match="features"):
        TLDR(3, **FAST).fit(x).transform(x[:, :5])


def test_more_components_than_features_with_an_mlp():
    x, _ = lines()
    assert TLDR(40, encoder="mlp-1-16", **FAST).fit_transform(x).shape == (300, 40)


def test_importing_it_does_not_import_torch():
    code = "import sys, tacit.sklearn; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
