"""The contrast of devices against the equation, one number at a time."""

import math

import pytest
import torch

from tacit.objectives.devices import MultiViewContrast


def drawn(batch=5, width=4, positives=2, negatives=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    rows = [torch.randn(n, batch, width, generator=generator, dtype=dtype) for n in (1, positives, negatives)]
    weights = [torch.rand(n, generator=generator, dtype=dtype) + 0.1 for n in (positives, negatives)]
    return rows[0][0].requires_grad_(), rows[1], rows[2], *weights


def plain(anchor, positives, negatives, w_positive, w_negative, t):
    most = max(map(float, (*w_positive, *w_negative)))
    total = 0.0
    for b, row in enumerate(anchor):

        def part(rows, weights, b=b, row=row):
            found = 0.0
            for other, weight in zip(rows, weights, strict=True):
                cosine = float(row @ other[b] / row.norm() / other[b].norm())
                found += float(weight) / most * math.exp(cosine / t)
            return found

        pulled, pushed = part(positives, w_positive), part(negatives, w_negative)
        total += math.log(pulled + pushed) - math.log(pulled)
    return total / len(anchor)


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_is_the_equation(temperature):
    given = drawn()
    found = MultiViewContrast(temperature)(*given)
    assert found.item() == pytest.approx(plain(*(v.detach() for v in given), temperature), rel=1e-10)


def test_it_draws_positives_near_and_pushes_negatives_away():
    """The sign that the code's similarity has is the other one."""
    anchor, positives, negatives, *weights = drawn(positives=1, negatives=1)
    objective = MultiViewContrast(0.5)
    (slope,) = torch.autograd.grad(objective(anchor, positives, negatives, *weights), anchor)
    after = anchor.detach() - 0.1 * slope

    def near(rows, to):
        return torch.nn.functional.cosine_similarity(rows, to[0]).mean()

    assert near(after, positives) > near(anchor.detach(), positives)
    assert near(after, negatives) < near(anchor.detach(), negatives)


def test_weights_count_by_their_ratio_and_one_positive_one_negative_is_a_sigmoid():
    anchor, positives, negatives, a, b = drawn(positives=1, negatives=1)
    objective = MultiViewContrast(0.2)
    found = objective(anchor, positives, negatives, a, b)
    torch.testing.assert_close(objective(anchor, positives, negatives, 7 * a, 7 * b), found)
    cosine = [torch.nn.functional.cosine_similarity(anchor, rows[0]) for rows in (positives, negatives)]
    margin = (cosine[0] - cosine[1]) / 0.2 + (a / b).log()
    torch.testing.assert_close(found, -torch.nn.functional.logsigmoid(margin).mean())


@pytest.mark.parametrize("kind", ["zero", "constant", "two", "huge"])
def test_finite_on_hard_inputs(kind):
    anchor, positives, negatives, *weights = (v.detach().float() for v in drawn())
    rows = {
        "zero": [torch.zeros_like(v) for v in (anchor, positives, negatives)],
        "constant": [torch.full_like(v, 0.3) for v in (anchor, positives, negatives)],
        "two": [anchor[:2], positives[:, :2], negatives[:, :2]],
        "huge": [1e4 * v for v in (anchor, positives, negatives)],
    }[kind]
    rows[0].requires_grad_()
    value = MultiViewContrast()(*rows, *weights)
    (slope,) = torch.autograd.grad(value, rows[0])
    assert value.isfinite()
    assert slope.isfinite().all()


def test_autocast_is_off_inside():
    given = [v.detach().float() for v in drawn()]
    wanted = MultiViewContrast()(*given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(MultiViewContrast()(*given), wanted)


def test_what_is_refused():
    anchor, positives, negatives, a, b = drawn()
    objective = MultiViewContrast()
    with pytest.raises(ValueError, match="positive"):
        MultiViewContrast(0.0)
    with pytest.raises(ValueError, match=r"positives must be \[count, 5, 4\]"):
        objective(anchor, positives[0], negatives, a, b)
    with pytest.raises(ValueError, match="weights of negatives"):
        objective(anchor, positives, negatives, a, a)
    with pytest.raises(ValueError, match="weights must be positive"):
        objective(anchor, positives, negatives, 0 * a, b)
