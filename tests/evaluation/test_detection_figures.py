"""Average precision of boxes against a slow count from its definition, and against recorded values."""

from __future__ import annotations

from fractions import Fraction

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


def best(outcome, right):
    """The best precision among beginnings of the list with so many right ones, or more."""
    beginnings = ((sum(outcome[: i + 1]), i + 1) for i in range(len(outcome)))
    return max((found / length for found, length in beginnings if found >= right), default=0.0)


def sampled(outcome, count, steps):
    return np.mean([best(outcome, Fraction(k * count, steps)) for k in range(steps + 1)])


@pytest.mark.parametrize("hard", [0.0, 0.3])
def test_figures_are_those_of_the_definition(hard) -> None:
    predicted, truth = made(7, hard=hard)
    found = detection_figures(predicted, truth)
    assert set(found["classes"]) == {0, 1, 2}
    for label, row in found["classes"].items():
        outcome, count = counted(predicted, truth, label, 0.5, False)
        assert row["boxes"] == count
        # recall only grows at whole numbers of boxes, so that the area is a mean of so many steps
        assert row["ap_50"] == pytest.approx(np.mean([best(outcome, k + 1) for k in range(count)]))
        assert row["ap_50_voc07"] == pytest.approx(sampled(outcome, count, 10))
        coco = [sampled(*counted(predicted, truth, label, limit, True), 100) for limit in OVERLAPS]
        assert row["ap_coco"] == pytest.approx(np.mean(coco))
    for name in ("ap_50", "ap_50_voc07", "ap_coco"):
        assert found[f"m{name}"] == pytest.approx(np.mean([row[name] for row in found["classes"].values()]))


@pytest.mark.parametrize(("seed", "value"), [(0, 0.2371205293743074), (1, 0.2852271491700665), (4, 0.2999187843121394)])
def test_coco_s_figure_is_that_of_pycocotools(seed, value) -> None:
    # AP at IoU 0.50:0.95 by COCOeval of pycocotools 2.0.11
    assert detection_figures(*made(seed))["map_coco"] == pytest.approx(value, abs=1e-9)


def test_cases_by_hand() -> None:
    far = [0, 50, 50, 60, 60]
    # right, wrong, right: the envelope is 1 up to half of the boxes, then 2/3; eleven recalls see 1 six times
    truth = [[UNIT], [UNIT]]
    found = detection_figures([[[*UNIT, 0.9], [*far, 0.8]], [[*UNIT, 0.7]]], truth)
    assert found["map_50"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["map_50_voc07"] == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)
    # a second box on the same thing is wrong, and comes before the other thing is found
    twice = [[[*UNIT, 0.9], [*UNIT, 0.8]], [[*UNIT, 0.7]]]
    assert detection_figures(twice, truth) == found
    # unless the thing is difficult, which need not be found either
    hard = [[[*UNIT, 1]], [UNIT]]
    assert detection_figures(twice, hard)["map_50"] == 1
    assert detection_figures(twice, hard)["classes"][0]["boxes"] == 1
    assert detection_figures([[], [[*UNIT, 0.7]]], hard)["map_coco"] == 1
    # an overlap of a half is enough for 0.5 alone: ten limits, one of them met
    half = [[[0, 0, 0, 10, 5, 0.9]]]
    found = detection_figures(half, [[UNIT]])
    assert (found["map_50"], found["map_coco"]) == (1, pytest.approx(0.1))
    # images without boxes, true or found; classes that were only predicted do not count
    assert detection_figures([[], [[*UNIT, 0.5]], [[3, 0, 0, 9, 9, 1.0]]], [[], [UNIT], []])["map_50"] == 1
    assert detection_figures([[], []], [[], [UNIT]])["map_coco"] == 0
    assert detection_figures([[[*UNIT, 0.5]]], [[[1, 0, 0, 10, 10]]])["map_50"] == 0
    # a false box before the true one halves all; one with the same score shares its rank
    for score in (0.9, 0.5):
        assert detection_figures([[[*far, score], [*UNIT, 0.5]]], [[UNIT]])["map_50"] == 0.5


def test_voc_and_coco_give_boxes_that_were_taken_differently() -> None:
    # the second guess overlaps most with what the first has taken, and enough with its neighbour
    truth = [[UNIT, [0, 3, 0, 13, 10]]]
    found = detection_figures([[[*UNIT, 0.9], [0, 1, 0, 11, 10, 0.8]]], truth)
    assert found["map_50"] == 0.5
    (row,) = found["classes"].values()
    assert row["ap_coco"] > 0.5  # 8 of 12: found at 0.5, 0.55, 0.6 and 0.65
    assert row["ap_coco"] == pytest.approx((4 * 1 + 6 * 51 / 101) / 10)


def test_one_box_an_image_is_average_precision() -> None:
    random = np.random.default_rng(0)
    score, right = random.integers(0, 20, 40) / 20, random.random(40) < 0.4  # with ties
    predicted = [[[0, 0, 0, 10, 10, s]] if r else [[0, 50, 50, 60, 60, s]] for s, r in zip(score, right, strict=True)]
    truth = [[UNIT] if r else [] for r in right]
    expected = average_precision(score[:, None], right[:, None].astype(np.int8))[0]
    assert detection_figures(predicted, truth)["map_50"] == pytest.approx(expected)


def test_padded_arrays_are_lists_and_the_order_of_boxes_does_not_matter() -> None:
    predicted, truth = made(3)
    padded = [np.full((len(rows), 30, 6), -1.0) for rows in (predicted, truth)]
    random = np.random.default_rng(0)
    for array, rows in zip(padded, (predicted, truth), strict=True):
        for place, row in zip(array, rows, strict=True):
            place[random.permutation(30)[: len(row)]] = row
    assert detection_figures(*padded) == detection_figures(predicted, truth)


def test_overlaps() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 10, (2, 5, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0.1, 9, (2, 5, 2))], -1)
    expected = [[[shared(a, b) for b in image[:3]] for a in image] for image in boxes]
    np.testing.assert_allclose(overlaps(boxes, boxes[:, :3]), expected)
    assert overlaps(np.zeros((1, 4)), np.zeros((1, 4))) == 0


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        ([[]], [[UNIT], []], "of 1 images, and true ones of 2"),
        ([[UNIT]], [[UNIT]], r"predicted boxes of image 0 must be \[n, 6\], not \[1, 5\]"),
        ([[]], [[[0, 1]]], r"true boxes of image 0 must be \[n, 5\] or \[n, 6\]"),
        ([[], [[*UNIT, np.nan]]], [[UNIT], []], "predicted boxes of image 1 must be finite"),
        ([[]], [[[0.5, 0, 0, 1, 1]]], "classes whole"),
        ([[]], [[[0, 5, 0, 1, 1]]], "true boxes of image 0 must have x0 < x1"),
        ([[[*UNIT, 1.0]]], [[[*UNIT, 1]]], "not difficult"),
        ([], [], "not difficult"),
    ],
)
def test_bad_input(predicted, truth, message) -> None:
    with pytest.raises(DataError, match=message):
        detection_figures(predicted, truth)
