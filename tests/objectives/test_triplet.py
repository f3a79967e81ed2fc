"""The cosine triplet loss against a plain loop over the equation."""

import math

import pytest
import torch

from tacit.objectives.triplet import CosineTriplet


def distance(x, y):
    return 1 - sum(a * b for a, b in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)


def test_is_the_equation():
    anchor, positive = torch.randn(2, 6, 3, dtype=torch.float64)
    negatives = torch.randn(6, 4, 3, dtype=torch.float64)
    counts = torch.tensor([True, False, True, True, False, True])
    total = 0.0
    for b in range(6):
        if counts[b]:
            near = distance(anchor[b].tolist(), positive[b].tolist())
            total += sum(max(0.0, near - distance(anchor[b].tolist(), n) + 0.5) for n in negatives[b].tolist()) / 4
    found = CosineTriplet(0.5)(anchor, positive, negatives, counts).item()
    assert found == pytest.approx(total / 4, rel=1e-12)


def test_limits():
    anchor, all_count = torch.eye(4), torch.ones(4, dtype=torch.bool)
    far = -anchor[:, None].expand(4, 3, 4)
    assert CosineTriplet()(anchor, 2 * anchor, far, all_count).item() == 0
    assert CosineTriplet(0.3)(anchor, anchor, 3 * anchor[:, None], all_count).item() == pytest.approx(0.3)
    assert CosineTriplet(0.3)(anchor, -anchor, anchor[:, None], all_count).item() == pytest.approx(2.3)
    assert CosineTriplet()(anchor, -anchor, far, ~all_count).item() == 0


@pytest.mark.parametrize("kind", ["zero", "equal", "huge", "none counts"])
def test_gradients_are_finite(kind):
    rows = {"zero": torch.zeros(5, 3), "equal": torch.ones(5, 3), "huge": 1e5 * torch.randn(5, 3)}
    given = rows.get(kind, torch.randn(5, 3)).requires_grad_()
    counts = torch.full((5,), kind != "none counts")
    value = CosineTriplet()(given, given.flip(0), given[:, None].roll(1, 0).expand(5, 2, 3), counts)
    value.backward()
    assert value.isfinite()
    assert given.grad.isfinite().all()
    if kind == "none counts":
        assert not given.grad.any()


def test_rows_that_do_not_count_get_no_gradient():
    anchor = torch.randn(3, 4, requires_grad=True)
    counts = torch.tensor([True, False, True])
    CosineTriplet(2.0)(anchor, torch.randn(3, 4), torch.randn(3, 2, 4), counts).backward()
    assert anchor.grad.any(1).tolist() == counts.tolist()


def test_autocast_and_errors():
    anchor, positive, negatives = torch.randn(3, 4), torch.randn(3, 4), torch.randn(3, 2, 4)
    counts = torch.ones(3, dtype=torch.bool)
    expected = CosineTriplet()(anchor, positive, negatives, counts)
    with torch.autocast("cpu", torch.bfloat16):
        assert CosineTriplet()(anchor, positive, negatives, counts) == expected
    with pytest.raises(ValueError, match="margin"):
        CosineTriplet(-0.1)
    with pytest.raises(ValueError, match="anchor and positive"):
        CosineTriplet()(anchor, positive, negatives[0], counts)
