import pytest
import torch
from torch.nn.functional import normalize

from tacit.claims.projection_head import descended, weights
from tacit.parts.reweight import ReweightHead


def test_weights_fall_from_dimension_to_dimension():
    head = ReweightHead(4, 0.5)
    h = torch.randn(3, 4)
    wanted = torch.stack([h[:, i] * 0.5**i for i in range(4)], 1)
    torch.testing.assert_close(head(h), normalize(wanted))
    assert not list(head.parameters())


def test_kappa_of_one_is_no_head():
    h = torch.randn(3, 4)
    torch.testing.assert_close(ReweightHead(4, 1.0)(h), normalize(h))


def test_finite_for_zeros_and_in_half_precision():
    h = torch.zeros(2, 4, dtype=torch.bfloat16, requires_grad=True)
    out = ReweightHead(4)(h)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert h.grad.isfinite().all()


@pytest.mark.parametrize("kappa", [0.0, -1.0, 1.1, float("nan")])
def test_impossible_kappa(kappa):
    with pytest.raises(ValueError, match="kappa"):
        ReweightHead(4, kappa)


@pytest.mark.parametrize("depth", [2, 3])
def test_gradient_descent_finds_the_predicted_weights(depth):
    strength = torch.tensor([1.6, 1.2, 0.9], dtype=torch.float64)
    noise = torch.tensor([0.0, 0.8, 0.3], dtype=torch.float64)
    found = descended(strength, noise, depth, seed=0, steps=6000)
    assert len(found) == depth
    for layer, rows in enumerate(found, 1):
        torch.testing.assert_close(rows, weights(strength, noise, layer, depth), rtol=0.02, atol=0)
