"""Average accuracy and forgetting over a sequence of tasks."""

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.evaluation.continual import average_accuracy_and_forgetting


def test_a_case_worked_by_hand():
    result = average_accuracy_and_forgetting([[0.9, 0.2, 0.1], [0.7, 0.8, 0.2], [0.6, 0.85, 0.5]])
    assert result.average == pytest.approx((0.6 + 0.85 + 0.5) / 3)
    assert result.forgetting == pytest.approx([0.9 - 0.6, 0.8 - 0.85])
    assert result.mean_forgetting == pytest.approx(0.125)


def test_it_equals_plain_loops():
    a = np.random.default_rng(0).random((6, 6))
    result = average_accuracy_and_forgetting(a)
    forgetting = [max(a[t, i] for t in range(5)) - a[5, i] for i in range(5)]
    assert result.forgetting == pytest.approx(forgetting)
    assert result.average == pytest.approx(sum(a[5]) / 6)


def test_the_future_need_not_be_measured():
    nan = float("nan")
    full = average_accuracy_and_forgetting([[0.9, 0, 0], [0.7, 0.8, 0], [0.6, 0.7, 0.5]])
    part = average_accuracy_and_forgetting([[0.9, nan, nan], [0.7, 0.8, nan], [0.6, 0.7, 0.5]])
    assert part.forgetting == pytest.approx(full.forgetting)


def test_one_task_forgets_nothing():
    result = average_accuracy_and_forgetting([[0.7]])
    assert (result.average, result.mean_forgetting) == (0.7, 0.0)


def test_bad_matrices():
    with pytest.raises(DataError, match=r"\[2, 3\]"):
        average_accuracy_and_forgetting(np.zeros((2, 3)))
    with pytest.raises(DataError, match="task 0 after learning task 1"):
        average_accuracy_and_forgetting([[0.9, 0.1], [float("nan"), 0.8]])
