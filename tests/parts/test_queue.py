"""The queue: order, wrap-around, what counts as filled, and that two ranks hold the queue of one."""

import pytest
import torch

from tacit.parts import ranks
from tacit.parts.queue import Queue
from two_ranks import on_two_ranks


def batch(start, count):
    """Rows whose first number says which they are."""
    x = torch.arange(start, start + count, dtype=torch.float32)
    return torch.stack((x, -x), 1), x[:, None]


def plain(size, pushes):
    """A list that each push appends to, oldest out first, laid out by slot."""
    slots, at = [None] * size, 0
    for values in pushes:
        for value in values:
            slots[at % size] = value
            at += 1
    return slots


@pytest.mark.parametrize("sizes", [(3, 3, 3), (5, 2, 4, 1), (8,), (9, 20), (7, 7)])
@pytest.mark.parametrize("size", [2, 5, 7])
def test_first_in_first_out(size, sizes):
    queue, start, pushes = Queue(size, 2, 1), 0, []
    for count in sizes:
        slots = queue.push(*batch(start, count))
        pushes.append(range(start, start + count))
        kept = list(pushes[-1])[-size:]
        first, second = queue.read()
        assert first[slots[-size:], 0].tolist() == kept
        start += count
        expected = plain(size, pushes)
        assert queue.filled.tolist() == [v is not None for v in expected]
        for slot, value in enumerate(expected):
            if value is not None:
                assert first[slot].tolist() == [value, -value]
                assert second[slot].tolist() == [value]


def test_unfilled_slots_are_unit_vectors_and_none_counts_as_filled():
    queue = Queue(16, 5, 3)
    for part in queue.read():
        torch.testing.assert_close(part.norm(dim=1), torch.ones(16))
    assert not queue.filled.any()
    queue.push(torch.ones(20, 5), torch.ones(20, 3))
    assert queue.filled.all()
    queue.clear()
    assert not queue.filled.any()


def test_what_was_read_stays_when_others_enter():
    queue = Queue(4, 2)
    (before,) = queue.read()
    kept, weight = before.clone(), torch.ones(2, requires_grad=True)
    value = (before @ weight).sum()
    queue.push(torch.full((4, 2), 9.0))
    value.backward()
    assert torch.equal(before, kept)
    assert torch.equal(weight.grad, kept.sum(0))


def test_it_stores_no_gradient_and_its_own_type():
    queue = Queue(4, 2)
    queue.push(torch.ones(2, 2, requires_grad=True).bfloat16())
    assert queue.rows.dtype == torch.float32
    assert not queue.rows.requires_grad


def test_capped_by_the_number_of_samples_and_still_of_one_shape():
    queue, other = Queue(8, 2, 1), Queue(8, 2, 1)
    queue.cap(3)
    with pytest.warns(UserWarning, match="holds 3"):
        queue.warn_if_capped()
    queue.push(*batch(0, 5))
    first, _ = queue.read()
    assert sorted(first[:, 0].tolist()) == [2, 3, 4]
    other.load_state_dict(queue.state_dict())
    other.push(*batch(5, 2))
    assert other.read()[0][5:7, 0].tolist() == [5, 6]


def test_saved_and_loaded_it_goes_on():
    queue, other = Queue(5, 2, 1), Queue(5, 2, 1)
    queue.push(*batch(0, 7))
    other.load_state_dict(queue.state_dict())
    for one in (queue, other):
        one.push(*batch(7, 4))
    assert torch.equal(queue.rows, other.rows)
    assert torch.equal(queue.entered, other.entered)


def test_too_small():
    with pytest.raises(ValueError, match="at least 2"):
        Queue(1, 3)


def check(rank, together):
    with together():
        torch.manual_seed(0)
        queue = Queue(5, 2, 1)
        for start in (0, 4, 8):
            slots = queue.push(*batch(start + 2 * rank, 2))
            assert len(slots) == 4
        torch.manual_seed(0)
        alone = Queue(5, 2, 1)
        filled = [alone.rows.clone()]
        for start in (0, 4, 8):
            alone.rows[(torch.arange(start, start + 4)) % 5] = torch.cat(batch(start, 4), 1)
        assert not torch.equal(filled[0], alone.rows)
        assert torch.equal(queue.rows, alone.rows)
        assert ranks.local(slots).tolist() == [(8 + 2 * rank) % 5, (9 + 2 * rank) % 5]


def test_two_ranks_hold_the_queue_of_one(tmp_path):
    on_two_ranks(check, tmp_path)
