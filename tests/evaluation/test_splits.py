import numpy as np
import pytest
import torch

from tacit.errors import DataError, OptionError
from tacit.evaluation import split


def test_parts_are_stratified_and_complete():
    y = np.repeat(["a", "b", "c", "d"], [100, 40, 2, 1])
    first, second = split(y, 0.25, seed=0)
    assert sorted([*first, *second]) == list(range(143))
    assert (np.diff(first) > 0).all()
    assert {c: int((y[second] == c).sum()) for c in "abcd"} == {"a": 25, "b": 10, "c": 1, "d": 0}


def test_split_depends_on_the_seed_alone():
    y = torch.arange(200) % 7
    np.testing.assert_array_equal(split(y, seed=1)[1], split(y.numpy(), seed=1)[1])
    assert not np.array_equal(split(y, seed=1)[1], split(y, seed=2)[1])


def test_every_sample_has_the_same_chance():
    counts = sum(np.bincount(split(20, 0.25, seed=s)[1], minlength=20) for s in range(400))
    assert counts.sum() == 400 * 5
    assert counts.min() > 60
    assert counts.max() < 140


def test_without_labels():
    first, second = split(10, 0.3)
    assert (len(first), len(second)) == (7, 3)
    assert [len(part) for part in split(2, 0.01)] == [1, 1]


def test_split_bad_input():
    for fraction in (0, 1, 1.5):
        with pytest.raises(OptionError, match="fraction"):
            split(10, fraction)
    with pytest.raises(DataError, match="at least 2"):
        split(1)
