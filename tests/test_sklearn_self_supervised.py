"""Any method as a scikit-learn transformer."""

from __future__ import annotations

import pickle
import pickletools
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import tacit
from tacit.modalities.table.synthetic import rows
from tacit.sklearn import SelfSupervised

FAST = {"epochs": 1, "options": {"encoder.width": 8, "encoder.depth": 1}, "random_state": 0}


@parametrize_with_checks([SelfSupervised(**FAST)])
def test_keeps_scikit_learns_promises(estimator, check):
    check(estimator)


def frame(count=60, seed=0):
    table, y = rows(count, seed, numbers=4, categories=2, irrelevant=2)
    return table.to_pandas(), y


@pytest.fixture(scope="module")
def fitted():
    x, _ = frame()
    return SelfSupervised("t-jepa", **FAST).fit(x)


def test_it_is_the_run_of_the_same_name(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 5))
    model = SelfSupervised("vicreg", **FAST).fit(x)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    run = tacit.pretrain(
        x, "vicreg", epochs=1, seed=int(seed), modality="table", out=tmp_path / "run", quiet=True,
        options=FAST["options"],
    )  # fmt: skip
    np.testing.assert_allclose(model.transform(x), run.embed(x), rtol=1e-4, atol=1e-5)
    assert model.loss_curve_ == run.metrics["loss"]


def test_frames_with_text_dates_and_gaps(fitted):
    x, _ = frame()
    z = fitted.transform(x)
    assert z.shape == (60, 8)
    assert np.isfinite(z).all()
    assert list(fitted.feature_names_in_) == list(x.columns)
    assert list(fitted.get_feature_names_out())[:2] == ["selfsupervised0", "selfsupervised1"]
    np.testing.assert_allclose(fitted.transform(x[10:20]), z[10:20], rtol=1e-9)
    unseen = x.assign(category_0="never there")
    assert np.isfinite(fitted.transform(unseen)).all()
    with pytest.raises(ValueError, match="feature names"):
        fitted.transform(x[x.columns[::-1]])


def test_a_pickle_holds_no_module_and_gives_the_same(fitted):
    x, _ = frame()
    stored = pickle.dumps(fitted)
    called = {
        str(argument) for code, argument, _ in pickletools.genops(stored) if argument and "torch" in str(argument)[:9]
    }
    assert not called
    again = pickle.loads(stored)
    np.testing.assert_array_equal(again.transform(x), fitted.transform(x))
    assert pickle.loads(pickle.dumps(SelfSupervised(**FAST))).get_params() == SelfSupervised(**FAST).get_params()
    assert fitted.transform(x).shape == (60, 8)  # pickling left it as it was


def test_in_a_pipeline_and_cloned():
    x, y = frame(120)
    model = make_pipeline(SelfSupervised(**FAST), LogisticRegression()).set_params(selfsupervised__epochs=2)
    assert clone(model).get_params()["selfsupervised__epochs"] == 2
    assert 0 <= model.fit(x, y).score(x, y) <= 1
    assert len(model[0].loss_curve_) > 0


def test_series():
    x = np.random.default_rng(0).normal(size=(20, 2, 32)).astype(np.float32)
    x[0, 0, :4] = np.nan
    model = SelfSupervised("simclr", modality="series", epochs=1, random_state=0, options={"encoder.width": 8})
    z = model.fit_transform(x)
    assert z.shape == (20, 128)
    assert z.dtype == np.float32
    assert model.n_features_in_ == 2


def test_labels_are_not_looked_at():
    x, y = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, other = (SelfSupervised(**FAST).fit(x, labels).transform(x) for labels in (y, None))
    np.testing.assert_array_equal(one, other)


def test_bad_input_is_named():
    x, _ = frame()
    with pytest.raises(ValueError, match="unknown method"):
        SelfSupervised("simcl").fit(x)
    with pytest.raises(ValueError, match="n_samples = 1"):
        SelfSupervised(**FAST).fit(x[:1])
    with pytest.raises(ValueError, match="infinity"):
        SelfSupervised(**FAST).fit(np.array([[1.0, np.inf], [2.0, 3.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="list"):
        SelfSupervised(**FAST).fit(pd.DataFrame({"a": [[1], [2], [3]]}))
