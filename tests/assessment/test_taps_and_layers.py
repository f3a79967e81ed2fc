import numpy as np
import pytest
import torch
from small_runs import data, run
from torch import nn

from tacit.assessment import taps
from tacit.assessment.halves import halves, scored
from tacit.assessment.layers import of_layers, probe_layers, same_order
from tacit.assessment.taps import layers_of, pooled, tapped
from tacit.errors import DataError, OptionError
from tacit.evaluation import arrays
from tacit.evaluation.probe import linear_probe
from tacit.evaluation.sgd_probe import Recipe, head_probe
from tacit.modalities.image import Spec, make_encoder


def test_pooling_takes_the_largest_of_each_part_and_stays_below_the_limit():
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(pooled(x, 192), x.flatten(1))
    small = pooled(x, 3 * 16)
    assert torch.equal(small, x.unflatten(3, (4, 2)).unflatten(2, (4, 2)).amax((3, 5)).flatten(1))
    for shape, limit in (((2, 7, 31, 5), 100), ((2, 200, 9, 9), 150), ((2, 4, 50), 60), ((2, 3, 6, 7, 8), 90)):
        found = pooled(torch.randn(shape), limit)
        assert found.shape[1] <= max(limit, shape[1])
    tokens = torch.randn(2, 10, 4)
    assert torch.equal(pooled(tokens, 4, tokens=True), tokens.amax(1))


def test_layers_are_found_where_the_resolution_changes():
    spec = Spec(3, (32, 32), (0.5,) * 3, (0.25,) * 3)
    view = {"x": torch.randn(2, 3, 32, 32)}
    convnet = make_encoder("convnet", spec, width=4).eval()
    assert layers_of(convnet, view) == ["stages.2", "stages.5", "stages.8", "stages.11", "embedding"]
    vgg = make_encoder("vgg", spec, width=4).eval()
    assert layers_of(vgg, view) == ["blocks.0", "blocks.1", "blocks.2", "blocks.3", "embedding"]
    revnet = make_encoder("revnet", spec, width=4).eval()
    assert layers_of(revnet, view) == ["blocks.1", "blocks.4", "norm", "embedding"]
    resnet = make_encoder("resnet18", spec).eval()
    assert layers_of(resnet, view)[:4] == [f"model.layer{i}" for i in (1, 2, 3, 4)]
    vit = make_encoder("vit", spec, width=16, depth=4, heads=2).eval()
    found = layers_of(vit, view)
    assert len(found) == 5
    assert all(name.split(".")[-1] == str(place) for place, name in enumerate(found[:-1]))
    assert layers_of(nn.Flatten(), view) == ["embedding"]


def test_features_are_what_the_layer_gives_also_from_a_mapped_file(monkeypatch):
    train, _ = halves(run(), data())
    with tapped(run(), run().encoder, train, ["stages.5", "embedding"]) as found:
        kept = {name: x.copy() for name, x in found.items()}
    view = run().evaluation_view()(train.source.batch(train.rows))[0]["x"]
    with torch.inference_mode():
        inner = run().encoder.stages[:6](view)
        last = run().encoder(view)
    np.testing.assert_allclose(kept["stages.5"], inner.flatten(1), atol=1e-4)
    np.testing.assert_allclose(kept["embedding"], last, atol=1e-4)
    monkeypatch.setattr(arrays, "MEMORY", 100)
    with tapped(run(), run().encoder, train, ["stages.5"], size=50) as found:
        assert isinstance(found["stages.5"], np.memmap)
        np.testing.assert_allclose(found["stages.5"], kept["stages.5"], atol=1e-4)
    with (
        pytest.raises(OptionError, match=r"did you mean 'stages\.5'"),
        tapped(run(), run().encoder, train, ["stage.5"]),
    ):
        pass


def test_a_layer_is_probed_as_its_features_are():
    found = probe_layers(run(), data(), seed=1)
    assert list(found) == ["stages.2", "stages.5", "stages.8", "stages.11", "embedding"]
    train, test = halves(run(), data(), seed=1)
    with tapped(run(), run().encoder, train) as x, tapped(run(), run().encoder, test) as z:
        expected = linear_probe(x["stages.8"], train.y, z["stages.8"], test.y, seed=1).accuracy
    row = found["stages.8"]
    assert row["value"] == expected
    assert row["low"] <= row["value"] <= row["high"]
    assert found["embedding"]["width"] == 64
    assert found["embedding"]["random"] != found["embedding"]["value"]


def test_an_mlp_is_probed_beside_the_line():
    quick, names = Recipe(batch_size=64, epochs=5, hidden=16, dropout=0.5), ["stages.8", "stages.11", "embedding"]
    found = probe_layers(run(), data(), layers=names, limit=200, probe="mlp", recipe=quick, seed=1)
    train, test = halves(run(), data(), seed=1)
    plain = of_layers(run(), train, test, names, 200, seed=1)
    with (
        tapped(run(), run().encoder, train, names, 200) as x,
        tapped(run(), run().encoder, test, names, 200) as z,
    ):
        expected = head_probe(x["stages.8"], train.y, z["stages.8"], test.y, quick, seed=1).accuracy
    assert found["stages.8"]["value"] == expected
    for name in names:
        assert found[name]["linear"] == plain[name]["value"]
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    with pytest.raises(OptionError, match="unknown probe 'svm'"):
        probe_layers(run(), data(), probe="svm")
    rows = {name: {"value": float(i), "linear": float(i**2)} for i, name in enumerate("abcd")}
    assert same_order(rows) == "Spearman correlation of the two probes over 4 layers: 1.00 (p 0.08)"
    assert "too few" in same_order({"a": rows["a"], "b": rows["b"]})


def test_other_labels_are_scored_too():
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    numbers = torch.from_numpy(x[:, 0])
    assert scored(x[:40], numbers[:40], x[40:], numbers[40:])["value"] > 0.99
    several = torch.from_numpy(x[:, :2] > 0)
    assert scored(x[:40], several[:40], x[40:], several[40:])["value"] > 0.9


def test_bad_input():
    with pytest.raises(DataError, match="needs labels"):
        probe_layers(run(), data()[0])
    with pytest.raises(DataError, match="two classes"):
        probe_layers(run(), (data()[0], np.zeros(240, int)))
    assert taps.LIMIT == 9000
