"""The classes of made-up graphs are really in them, and only where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tacit.errors import OptionError
from tacit.modalities.graph.synthetic import WIRINGS, citations, sample, wirings


def test_edges_join_the_roles_of_the_class() -> None:
    for one in wirings(60, 1, astray=0.0):
        allowed = {frozenset(pair) for pair in WIRINGS[one["y"]]}
        found = {frozenset(pair) for pair in one["roles"][one["edge_index"]].T.tolist()}
        assert found <= allowed
    rates = []
    for one in wirings(60, 1, astray=0.5):
        allowed = {frozenset(pair) for pair in WIRINGS[one["y"]]}
        rates += [frozenset(pair) in allowed for pair in one["roles"][one["edge_index"]].T.tolist()]
    assert 0.5 < np.mean(rates) < 0.85


def test_every_role_is_as_frequent_and_as_joined_in_every_class() -> None:
    made = wirings(1200, 0)
    for y in range(6):
        part = [one for one in made if one["y"] == y]
        roles = np.concatenate([one["roles"] for one in part])
        ends = np.concatenate([one["roles"][one["edge_index"]].ravel() for one in part])
        np.testing.assert_allclose(np.bincount(roles) / len(roles), 0.25, atol=0.01)
        np.testing.assert_allclose(np.bincount(ends) / len(ends), 0.25, atol=0.01)


def test_features_alone_say_nothing_and_pairs_say_all() -> None:
    made = wirings(900, 0)
    y = np.array([one["y"] for one in made])
    means = np.stack([one["x"].mean(0) for one in made])
    pairs = []
    for one in made:
        x, (a, b) = one["x"], one["edge_index"]
        pairs.append(((x[a].T @ x[b] + x[b].T @ x[a]) / a.size).ravel())

    def score(rows: np.ndarray) -> float:
        fitted = LogisticRegression(max_iter=500).fit(rows[:600], y[:600])
        return float(fitted.score(rows[600:], y[600:]))

    assert score(means) < 0.26
    assert score(np.stack(pairs)) > 0.9


def test_roles_are_as_far_apart_as_said() -> None:
    made = wirings(200, 0, noise=0.0)
    x, roles = np.concatenate([one["x"] for one in made]), np.concatenate([one["roles"] for one in made])
    centres = np.stack([x[roles == role].mean(0) for role in range(4)])
    far = np.linalg.norm(centres[:, None] - centres, axis=2)[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(far, 2, rtol=1e-5)


def test_citations_are_a_block_model_of_words() -> None:
    made = citations(4000, 0, classes=5, words=200, within=0.8, topical=0.3, degree=6.0)
    a, b = made["edge_index"]
    y = made["y"]
    assert (a < b).all()
    same = (y[a] == y[b]).mean()
    assert abs(same - (0.8 + 0.2 / 5)) < 0.03
    assert abs(2 * a.size / 4000 - 6) < 0.6
    own = np.arange(200) // 40
    whole = made["x"].sum(1) == 12  # texts where no word was drawn twice
    share = (made["x"][whole] * (own == y[whole, None])).sum() / made["x"][whole].sum()
    assert abs(share - (0.3 + 0.7 / 5)) < 0.03
    degree = np.bincount(np.concatenate((a, b)), minlength=4000)
    assert degree.max() > 5 * degree.mean()


def test_seeds_decide() -> None:
    one, two, other = wirings(5, 1), wirings(5, 1), wirings(5, 2)
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0]["x"], other[0]["x"])
    assert len(sample(7)) == 7
    with pytest.raises(OptionError):
        wirings(5, classes=7)
    with pytest.raises(OptionError):
        wirings(5, nodes=(2, 5))
    with pytest.raises(OptionError):
        citations(classes=1)
