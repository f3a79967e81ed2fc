"""Answers about pairs: what is remembered, what follows, and what the rules ask."""

import pytest
import torch
from torch.nn.functional import one_hot

from tacit.parts.relations import NO, UNKNOWN, YES, LabelOracle, Relations, ask

LABELS = torch.arange(60) % 4


def told(relations):
    return {tuple(p): a for p, a in zip(relations.pairs.tolist(), relations.answers.tolist(), strict=True)}


def test_answers_are_remembered_once_the_last_one_counts():
    found = Relations(5)
    found.add(torch.tensor([[3, 1], [0, 0], [2, 4], [1, 2]]), torch.tensor([YES, YES, NO, UNKNOWN]))
    assert told(found) == {(1, 3): YES, (2, 4): NO}
    found.add(torch.tensor([[1, 3], [4, 2], [2, 4]]), torch.tensor([NO, NO, YES]))
    assert told(found) == {(1, 3): NO, (2, 4): YES}


def test_groups_are_the_closure_of_the_positive_answers():
    found = Relations(6)
    found.add(torch.tensor([[0, 1], [1, 5], [2, 3], [0, 3]]), torch.tensor([YES, YES, YES, NO]))
    group = found.groups().tolist()
    assert group[0] == group[1] == group[5]
    assert group[2] == group[3]
    assert len(set(group)) == 3


def test_found_is_the_share_of_pairs_of_one_label():
    found = Relations(6)
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    assert found.found(labels) == 0
    found.add(torch.tensor([[0, 1], [1, 2]]), torch.tensor([YES, YES]))
    assert found.found(labels) == pytest.approx(3 / 7)


@pytest.mark.parametrize("rule", ["passive", "star", "active", "disagreement"])
def test_rules_keep_to_the_budget_and_answers_are_right(rule):
    oracle, found = LabelOracle(LABELS), Relations(60)
    z = one_hot(LABELS).float() + 0.1 * torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    ask(oracle, found, 40, rule, z, torch.Generator().manual_seed(1), screen=5)
    assert 0 < oracle.asked <= 40
    assert len(found.answers) <= 40 * (5 if rule == "star" else 1)
    for (i, j), answer in told(found).items():
        assert answer == int(LABELS[i] == LABELS[j])


def test_active_with_a_good_embedding_needs_about_one_question_a_sample():
    oracle, found = LabelOracle(LABELS), Relations(60)
    ask(oracle, found, 1000, "active", one_hot(LABELS).float())
    assert oracle.asked <= 60 + 6
    assert found.found(LABELS) == 1
    assert len(found.groups().unique()) == 4


def test_active_with_any_embedding_needs_at_most_a_question_a_sample_and_class():
    oracle, found = LabelOracle(LABELS), Relations(60)
    ask(oracle, found, 1000, "active", torch.randn(60, 3, generator=torch.Generator().manual_seed(0)))
    assert oracle.asked <= 60 * 4
    assert found.found(LABELS) == 1


def test_active_finds_more_than_passive_for_the_same_budget():
    shares = {}
    for rule in ("passive", "active"):
        found = Relations(60)
        ask(LabelOracle(LABELS), found, 60, rule, one_hot(LABELS).float(), torch.Generator().manual_seed(3))
        shares[rule] = found.found(LABELS)
    assert shares["active"] > 2 * shares["passive"]


def test_disagreement_asks_near_the_threshold_and_not_twice():
    angle = torch.linspace(0, 3, 40)
    z = torch.stack((angle.cos(), angle.sin()), 1)
    found = Relations(40)
    ask(LabelOracle(torch.zeros(40, dtype=torch.int64)), found, 10, "disagreement", z, threshold=0.5)
    first = found.pairs.clone()
    cosine = (z[first[:, 0]] * z[first[:, 1]]).sum(1)
    assert (cosine - 0.5).abs().max() < 0.25
    ask(LabelOracle(torch.zeros(40, dtype=torch.int64)), found, 10, "disagreement", z)
    assert len(found.pairs) == len(first) + 10


def test_noise_turns_that_share_of_answers_and_unknown_labels_stay_unknown():
    labels = torch.cat((torch.zeros(4000, dtype=torch.int64), torch.tensor([-1])))
    pairs = torch.stack((torch.arange(3999), torch.arange(1, 4000)), 1)
    answers = LabelOracle(labels, noise=0.2).query(pairs)
    assert float((answers == NO).double().mean()) == pytest.approx(0.2, abs=0.03)
    assert (LabelOracle(labels).query(pairs) == YES).all()
    assert LabelOracle(labels, 0.5).query(torch.tensor([[0, 4000]])).tolist() == [UNKNOWN]


def test_bad_arguments():
    with pytest.raises(ValueError, match="rule"):
        ask(LabelOracle(LABELS), Relations(60), 5, "all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="embedding"):
        ask(LabelOracle(LABELS), Relations(60), 5, "active")
    with pytest.raises(ValueError, match="noise"):
        LabelOracle(LABELS, 1.0)
    with pytest.raises(ValueError, match="positions"):
        Relations(3).add(torch.tensor([[0, 3]]), torch.tensor([1]))
    with pytest.raises(ValueError, match="answers"):
        Relations(3).add(torch.tensor([[0, 1]]), torch.tensor([1, 0]))
