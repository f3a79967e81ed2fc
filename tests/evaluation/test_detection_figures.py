"""Average precision of boxes against a slow count from its definition, and against recorded values."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.evaluation.detection import OVERLAPS, detection_figures, overlaps
from tacit.evaluation.svm import average_precision

UNIT = [0, 0, 0, 10, 10]


def made(seed, images=12, classes=3, hard=0.0):
    """True boxes, each found twice and inexactly, and some found where nothing is."""
    random, truth, predicted = np.random.default_rng(seed), [], []
    for _ in range(images):
        k = random.integers(0, 6)
        corner, side = random.uniform(0, 80, (k, 2)), random.uniform(8, 30, (k, 2))
        label = random.integers(0, classes, (k, 1))
        real = np.concatenate([label, corner, corner + side, np.zeros((k, 1))], 1)
        guess = np.repeat(real[:, :5], 2, 0)
        guess[:, 1:3] += random.normal(0, 2.5, (len(guess), 2))
        guess[:, 3:5] += random.normal(0, 2.5, (len(guess), 2))
        m = random.integers(0, 4)
        corner = random.uniform(0, 80, (m, 2))
        label = random.integers(0, classes, (m, 1))
        guess = np.concatenate([guess, np.concatenate([label, corner, corner + random.uniform(8, 30, (m, 2))], 1)])
        guess[:, 3:5] = np.maximum(guess[:, 3:5], guess[:, 1:3] + 1)
        predicted.append(np.concatenate([guess, random.random((len(guess), 1))], 1))
        truth.append(real)
    if hard:
        for real in truth:
            real[:, 5] = random.random(len(real)) < hard
    return predicted, truth


def shared(a, b):
    """Intersection over union of two boxes."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def counted(predicted, truth, label, limit, free_only):
    """Right and wrong of one class in order of score, and how many are to be found."""
    rows = [(row[5], place, row[1:5]) for place, image in enumerate(predicted) for row in image if row[0] == label]
    used, outcome = set(), []
    for _, place, box in sorted(rows, key=lambda row: -row[0]):
        real = [(shared(box, row[1:5]), i, row[5]) for i, row in enumerate(truth[place]) if row[0] == label]
        easy = [row for row in real if not row[2] and (place, row[1]) not in used and row[0] >= limit]
        if free_only:
            if easy:
                used.add((place, max(easy)[1]))
                outcome.append(True)
            elif not any(row[2] and row[0] >= limit for row in real):
                outcome.append(False)
            continue
        best = max(real, default=(0, 0, 0))
        if best[0] >= limit and best[2]:
            continue
        outcome.append(best[0] >= limit and (place, best[1]) not in used)
        if best[0] >= limit:
            used.add((place, best[1]))
    return outcome, sum(row[0] == label and not row[5] for image in truth for row in image)


def interpolated(outcome, count, recalls):
    """Mean over the recalls of the best precision there or beyond."""
    curve = [(sum(outcome[: i + 1]), sum(outcome[: i + 1]) / (i + 1)) for i in range(len(outcome))]
    steps = len(recalls) - 1
    return np.mean([max((p for r, p in curve if r * steps >= k * count), default=0.0) for k in range(steps + 1)])


@pytest.mark.parametrize("hard", [0.0, 0.3])
def test_figures_are_those_of_the_definition(hard) -> None:
    predicted, truth = made(7, hard=hard)
    found = detection_figures(predicted, truth)
    assert set(found["classes"]) == {0, 1, 2}
    for label, row in found["classes"].items():
        outcome, count = counted(predicted, truth, label, 0.5, False)
        assert row["boxes"] == count
        assert row["ap_50_voc07"] == pytest.approx(interpolated(outcome, count, range(11)))
        # the envelope changes at whole numbers of right ones alone: as many recalls as boxes are all points
        whole = [interpolated(outcome, count, range(count + 1)) * (count + 1), interpolated(outcome, count, range(2))]
        first = 2 * whole[1] - interpolated(outcome, count, [0, 1][:2]) if False else None
        assert first is None
        area = (whole[0] - max((sum(outcome[: i + 1]) / (i + 1) for i in range(len(outcome))), default=0)) / count
        assert row["ap_50"] == pytest.approx(area)
        coco = [interpolated(*counted(predicted, truth, label, limit, True), range(101)) for limit in OVERLAPS]
        assert row["ap_coco"] == pytest.approx(np.mean(coco))
    assert found["map_50"] == pytest.approx(np.mean([row["ap_50"] for row in found["classes"].values()]))
