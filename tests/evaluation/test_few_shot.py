import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tacit.errors import DataError, OptionError
from tacit.evaluation import few_shot as module
from tacit.evaluation.few_shot import few_shot, logistic_regressions


def blobs(classes=6, each=30, width=8, apart=2.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    return apart * rng.normal(size=(classes, width))[y] + rng.normal(size=(len(y), width)), y


@pytest.mark.parametrize(("ways", "shots", "width"), [(2, 1, 3), (5, 1, 64), (5, 5, 64), (10, 5, 8)])
def test_each_classifier_is_scikit_learns(ways, shots, width):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, ways * shots, width)) + 0.3
    x /= np.linalg.norm(x, axis=2, keepdims=True)
    y = np.tile(np.repeat(np.arange(ways), shots), (3, 1))
    weight, bias = logistic_regressions(torch.from_numpy(x), torch.from_numpy(y), ways)
    new = rng.normal(size=(7, width))
    for e in range(3):
        reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(x[e], y[e])
        found = (torch.from_numpy(new) @ weight[e] + bias[e]).softmax(1).numpy()
        if ways == 2:  # scikit-learn's binary form has one weight vector and so another penalty
            direct = LogisticRegression(C=2.0, tol=1e-10, max_iter=2000).fit(x[e], y[e])
            np.testing.assert_allclose(found, direct.predict_proba(new), atol=1e-5)
        else:
            np.testing.assert_allclose(found, reference.predict_proba(new), atol=1e-5)


def test_an_episode_takes_supports_and_queries_apart(monkeypatch):
    x, y = blobs(classes=3, each=5)
    seen = []
    fit = module._episodes
    monkeypatch.setattr(module, "_episodes", lambda rows, shots: seen.append(rows) or fit(rows, shots))
    monkeypatch.setattr(module, "AT_ONCE", 7)
    result = few_shot(x, y, ways=3, shots=2, queries=3, episodes=20)
    assert result.accuracies.shape == (20,)
    assert [len(part) for part in seen] == [7, 7, 6]
    for part in torch.cat(seen):
        assert len(part.flatten(0, 1).unique(dim=0)) == 15  # no sample twice


def test_separable_classes_and_noise():
    x, y = blobs(apart=30.0)
    assert few_shot(x, y, episodes=50).accuracy > 0.99
    noise, y = blobs(each=300, apart=0.0)
    result = few_shot(noise, y, episodes=400)
    assert result.accuracy == pytest.approx(0.2, abs=0.01)
    assert result.high - result.low < 0.02


def test_interval_and_seed():
    x, y = blobs()
    one, same, other = (few_shot(x, y, episodes=40, seed=s) for s in (0, 0, 1))
    assert np.array_equal(one.accuracies, same.accuracies)
    assert not np.array_equal(one.accuracies, other.accuracies)
    assert one.accuracy == one.accuracies.mean()
    assert one.high - one.accuracy == pytest.approx(1.96 * one.accuracies.std(ddof=1) / 40**0.5)


def test_more_shots_help():
    x, y = blobs(apart=1.0)
    assert few_shot(x, y, shots=5, episodes=200).low > few_shot(x, y, shots=1, episodes=200).high


def test_power_takes_roots_of_what_is_not_negative():
    x, y = blobs()
    rooted = few_shot(x, y, episodes=20, power=True)
    direct = few_shot(np.sqrt(np.maximum(x, 0)), y, episodes=20)
    assert np.array_equal(rooted.accuracies, direct.accuracies)


def test_bad_input():
    x, y = blobs()
    with pytest.raises(DataError, match="episodes of 7 classes"):
        few_shot(x, y, ways=7)
    with pytest.raises(DataError, match="takes 31 samples"):
        few_shot(x, y, shots=16)
    with pytest.raises(DataError, match="'2' was seen"):
        few_shot(x, y, seen=[2, 8])
    with pytest.raises(DataError, match="NaN"):
        few_shot(np.where(x > 3, np.nan, x), y)
    for bad in ({"ways": 1}, {"shots": 0}, {"queries": 0}, {"episodes": 1}):
        with pytest.raises(OptionError):
            few_shot(x, y, **bad)
    assert few_shot(x, y.astype(str), episodes=5, seen=np.array([17, 18])).accuracy > 0
