import pytest
import torch

from tacit.objectives.predictive import TokenDistance


def test_is_the_equation():
    torch.manual_seed(0)
    prediction, target = 2 * torch.randn(2, 3, 4, 5, dtype=torch.float64)
    total = 0.0
    for b in range(3):
        for n in range(4):
            row = target[b, n]
            wanted = (row - row.mean()) / (row.var(correction=0) + 1e-5).sqrt()
            for d in (prediction[b, n] - wanted).tolist():
                total += d * d / 2 if abs(d) < 1 else abs(d) - 0.5
    assert TokenDistance()(prediction, target).item() == pytest.approx(total / 60, rel=1e-10)


def test_the_target_gets_no_gradient_and_may_be_constant():
    prediction, target = torch.ones(2, 3, 4, requires_grad=True), torch.ones(2, 3, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        TokenDistance()(prediction, target).backward()
    assert prediction.grad.isfinite().all()
    assert target.grad is None


def test_the_scale_of_the_target_means_nothing():
    prediction, target = torch.randn(2, 3, 4, 64, dtype=torch.float64)
    torch.testing.assert_close(
        TokenDistance()(prediction, target), TokenDistance()(prediction, 3 * target + 2), rtol=1e-4, atol=0
    )


def test_wrong_shapes():
    with pytest.raises(ValueError, match="one shape"):
        TokenDistance()(torch.ones(2, 3), torch.ones(2, 4))
