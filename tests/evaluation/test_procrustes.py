import pytest
import torch
from torch.nn.functional import normalize

from tacit.errors import DataError
from tacit.evaluation.procrustes import residual, rotation


def embeddings(rows=30, width=5, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_finds_the_orthogonal_map():
    a = embeddings()
    q, _ = torch.linalg.qr(embeddings(5, 5, 1))
    torch.testing.assert_close(rotation(a, 3 * a @ q.T), q)
    assert residual(a, a @ q.T) == pytest.approx(0, abs=1e-20)


def test_no_other_orthogonal_map_is_nearer():
    a, b = embeddings(seed=1), embeddings(seed=2)
    best = residual(a, b)
    for seed in range(20):
        q, _ = torch.linalg.qr(rotation(a, b) + 0.1 * embeddings(5, 5, seed))
        assert residual(a, b, q) > best


def test_is_relative_to_the_move():
    a, b = embeddings(seed=1), embeddings(seed=2)
    u, v = normalize(a), normalize(b)
    assert residual(a, b, torch.eye(5)) == pytest.approx(1)
    moved = (u - v).square().sum(1).mean()
    left = (u @ rotation(a, b).T - v).square().sum(1).mean()
    assert residual(a, b) == pytest.approx(float(left / moved))
    assert residual(a, a) == pytest.approx(0, abs=1e-12)


def test_bad_input():
    with pytest.raises(DataError, match="equal shapes"):
        rotation(torch.ones(4, 3), torch.ones(4, 2))
    with pytest.raises(DataError, match="finite"):
        rotation(torch.full((4, 3), torch.nan), torch.ones(4, 3))
