"""What the made-up documents are said to be is really in them; and what the report shows of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from tacit.errors import OptionError
from tacit.evaluation.knn import knn_accuracy
from tacit.modalities import open_source, text
from tacit.modalities.text import plots
from tacit.modalities.text.synthetic import ENDING, GENERAL, ORDERS, documents, labelled, language


def test_the_same_seed_repeats_and_another_does_not() -> None:
    one, two, other = documents(20, 1), documents(20, 1), documents(20, 2)
    assert one.texts == two.texts
    assert np.array_equal(one.topic, two.topic)
    assert one.texts != other.texts


def test_words_are_those_of_the_topic_or_general() -> None:
    words, made = language(), documents(300, 0, focus=0.5)
    first = len(words.stems) - GENERAL
    assert len(set(words.stems)) == len(words.stems)
    assert not words.topical[first:].any()
    assert (words.topical[:first].sum(1) == 2).all(), "no word of a topic tells it"
    share = []
    for written, stems, topic in zip(made.texts, made.stems, made.topic, strict=True):
        spoken = written.lower().replace(".", "").split()
        assert len(spoken) == len(stems)
        for word, stem in zip(spoken, stems, strict=True):
            if stem < 0:
                assert word in words.particles
            else:
                assert any(word == words.stems[stem] + end for ends in ENDING.values() for end in ends)
        told = stems[stems >= 0]
        of_topic = told < first
        assert words.topical[told[of_topic], topic].all()
        share.append(of_topic.mean())
    assert np.mean(share) == pytest.approx(0.5, abs=0.02)


def test_the_order_is_in_the_endings_and_in_no_count() -> None:
    made = documents(1200, 3)
    for written, order in zip(made.texts, made.order, strict=True):
        for sentence in written.rstrip(".").split(". "):
            last = sentence.split()[1::2]
            for word, role in zip(last, ORDERS[order], strict=True):
                assert word.endswith(ENDING[role])
    # bags of words of the first half tell nothing of the order of the second
    vocabulary = sorted({w for t in made.texts for w in t.lower().replace(".", "").split()})
    at = {word: i for i, word in enumerate(vocabulary)}
    bags = np.zeros((1200, len(at)))
    for i, written in enumerate(made.texts):
        for word, count in Counter(written.lower().replace(".", "").split()).items():
            bags[i, at[word]] = count
    found = knn_accuracy(bags[:800], made.order[:800], bags[800:], made.order[800:])
    assert found < 1 / len(ORDERS) + 0.06


def test_topic_author_and_order_are_independent() -> None:
    made = documents(4000, 7)
    for one, two in ((made.topic, made.author), (made.topic, made.order), (made.author, made.order)):
        table = np.zeros((one.max() + 1, two.max() + 1))
        np.add.at(table, (one, two), 1)
        expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        assert ((table - expected) ** 2 / expected).sum() < freedom + 4 * np.sqrt(2 * freedom)


def test_authors_differ_in_words_that_say_nothing() -> None:
    made = documents(400, 0, authors=2, style=1.5)
    particles = {word: i for i, word in enumerate(language().particles)}
    shares = np.zeros((2, len(particles)))
    for written, author in zip(made.texts, made.author, strict=True):
        for word in written.lower().replace(".", "").split():
            if word in particles:
                shares[author, particles[word]] += 1
    shares /= shares.sum(1, keepdims=True)
    assert np.abs(shares[0] - shares[1]).sum() > 0.5


@pytest.mark.parametrize(
    "options", [{"topics": 1}, {"topics": 9}, {"authors": 0}, {"focus": 1.5}, {"sentences": (3, 2)}]
)
def test_impossible_numbers_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        documents(4, **options)  # type: ignore[arg-type]


def test_labels_are_the_factor_that_is_asked_for() -> None:
    made = documents(10, 0)
    for factor in ("topic", "author", "order"):
        assert np.array_equal(labelled(made, factor)[1], getattr(made, factor))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="did you mean 'topic'"):
        labelled(made, "topics")  # type: ignore[arg-type]


def test_the_report_shows_the_first_words() -> None:
    source = open_source(["short", "Grüße an alle " * 40], "text", vocabulary=280)
    spec = text.spec_of(source)
    (view,) = text.evaluation_view(spec)(source.batch(torch.arange(2)))
    stored = plots.as_seen(view, spec)
    assert stored.shape == (2, plots.STORED)
    assert stored[0].tobytes().rstrip(b"\0") == b"short"
    assert ("Grüße an alle " * 40).encode().startswith(stored[1].tobytes()[:140])
    drawn = plots.tiles(stored, 64)
    assert drawn.shape == (2, 64, 64, 3)
    ink = (drawn < 128).any(3).sum((1, 2))
    assert 0 < ink[0] < ink[1]
    assert plots.caption(stored)
