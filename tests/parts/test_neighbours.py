import pytest
import torch

from tacit.parts import neighbours
from tacit.parts.neighbours import nearest


@pytest.mark.parametrize("metric", ["euclidean", "inner"])
def test_is_sorting_all_pairs(metric, monkeypatch):
    x = torch.randn(23, 4, generator=torch.Generator().manual_seed(0))
    score = -torch.cdist(x, x) if metric == "euclidean" else x @ x.T
    expected = score.fill_diagonal_(-torch.inf).argsort(1, descending=True)[:, :5]
    assert torch.equal(nearest(x, 5, metric), expected)
    monkeypatch.setattr(neighbours, "BLOCK", 100)  # four rows at a time
    assert torch.equal(nearest(x, 5, metric), expected)


def test_a_duplicate_is_a_neighbour_and_the_row_itself_is_not():
    x = torch.tensor([[0.0], [0.0], [5.0], [5.0], [5.0]])
    near = nearest(x, 1)[:, 0].tolist()
    assert near[:2] == [1, 0]
    assert all(i in (2, 3, 4) and i != row for row, i in enumerate(near[2:], 2))


@pytest.mark.parametrize("k", [0, 4, 9])
def test_too_few_rows(k):
    with pytest.raises(ValueError, match="neighbours need"):
        nearest(torch.randn(4, 2), k)
