"""Made-up documents in a made-up language whose topics, authors and word orders are known exactly."""

from __future__ import annotations

import functools
from itertools import combinations, permutations
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError, unknown

TOPICS = 8
"""Topics that there are."""
SHARED = 12
"""Stems that any two of them share."""
GENERAL = 120
"""Stems of no topic."""
PARTICLES = 30
"""Short words that say nothing."""
ORDERS = tuple(permutations("svo"))[:4]
"""Word orders that there are: of subject, verb and object."""
ENDING = {"s": ("a", "i"), "v": ("or", "et"), "o": ("um", "es")}
"""Endings of a stem in each role."""
Factor = Literal["topic", "author", "order"]


class Documents(NamedTuple):
    """Documents and all that is known of them.

    Attributes:
        texts: N of them.
        topic: what each is about, int64 ``[N]``.
        author: who wrote it, int64 ``[N]``.
        order: the order of its sentences (an index into :data:`ORDERS`), int64 ``[N]``.
        stems: for each word of each document which stem it has (an index into what :func:`language` gives), -1 for
            particles: int64 ``[words]`` each.
    """

    texts: list[str]
    topic: NDArray[np.int64]
    author: NDArray[np.int64]
    order: NDArray[np.int64]
    stems: list[NDArray[np.int64]]


class Language(NamedTuple):
    """The words that there are.

    Attributes:
        stems: the stems of topics first, then the general ones.
        topical: which topics each stem belongs to, bool ``[stems, 8]``: two, or none.
        particles: words without an ending.
    """

    stems: list[str]
    topical: NDArray[np.bool_]
    particles: list[str]


@functools.cache
def language() -> Language:
    """The language, always the same: every stem of a topic belongs to one other topic too, so that no word tells."""
    random = np.random.default_rng(0x7E87)
    pairs = [pair for pair in combinations(range(TOPICS), 2) for _ in range(SHARED)]
    count = len(pairs) + GENERAL
    spelt: dict[str, None] = {}
    while len(spelt) < count + PARTICLES:
        few = len(spelt) < PARTICLES
        syllables = random.integers(1, 2 if few else 4) + (0 if few else 1)
        made = "".join(random.choice(list("bdfgklmnprstvz")) + random.choice(list("aeiou")) for _ in range(syllables))
        spelt.setdefault(made if few else made + random.choice(list("dklmnrst")))
    words = list(spelt)
    topical = np.zeros((count, TOPICS), bool)
    for i, pair in enumerate(pairs):
        topical[i, list(pair)] = True
    return Language(words[PARTICLES:], topical, words[:PARTICLES])


def documents(
    count: int,
    seed: int = 0,
    *,
    topics: int = 6,
    authors: int = 10,
    focus: float = 0.5,
    style: float = 1.0,
    sentences: tuple[int, int] = (4, 8),
) -> Documents:
    """Documents about topics, by authors.

    A sentence has a subject, a verb and an object, each a stem with an ending that says which of these it is, and
    particles between them. The topic says which stems are likely. Each of a topic's stems belongs to one other topic
    as well, and there are so many that two documents about one topic have few of them in common: counting words in
    common tells the topic badly, knowing which words keep company tells it well. The author has favourite particles
    and general words, whatever the topic. The order of subject, verb and object is one for a document, whatever its
    topic and author, and shows in no count of words. Topic, author and order are drawn independently.

    Args:
        count: number of documents, N.
        seed: of everything but the language and the authors' tastes, which are always the same.
        topics: how many different ones, from 2 to 8.
        authors: how many different ones.
        focus: share of stems that are of the topic, in [0, 1]; the rest are general.
        style: how much authors differ: standard deviation of the logarithm of how much they like a word.
        sentences: a document has from so many to so many.

    Raises:
        OptionError: for a number or a share out of range.
    """
    if not 2 <= topics <= TOPICS:
        raise OptionError(f"topics must be from 2 to {TOPICS}, not {topics}")
    if authors < 1 or not 1 <= sentences[0] <= sentences[1]:
        raise OptionError(f"there must be 1 author and 1 sentence at least, not {authors} and {sentences!r}")
    if not 0 <= focus <= 1:
        raise OptionError(f"focus is a share from 0 to 1, not {focus}")
    words = language()
    taste = np.random.default_rng(0xA1170)
    liking = np.exp(style * taste.normal(size=(authors, PARTICLES + GENERAL)))
    particle = _shares(liking[:, :PARTICLES])
    general = _shares(liking[:, PARTICLES:])
    random = np.random.default_rng([seed, 0xD0C5])
    topic, author = random.integers(0, topics, count), random.integers(0, authors, count)
    order = random.integers(0, len(ORDERS), count)
    lengths = random.integers(sentences[0], sentences[1] + 1, count)
    own = [np.flatnonzero(words.topical[:, t]) for t in range(topics)]
    first = len(words.stems) - GENERAL
    texts: list[str] = []
    stems: list[NDArray[np.int64]] = []
    for i in range(count):
        size = 3 * int(lengths[i])
        of_topic = random.choice(own[topic[i]], size)
        of_author = first + random.choice(GENERAL, size, p=general[author[i]])
        said = np.where(random.uniform(size=size) < focus, of_topic, of_author)
        between = random.choice(PARTICLES, size, p=particle[author[i]])
        written, truth = _written(said, between, ORDERS[order[i]], random, words)
        texts.append(written)
        stems.append(truth)
    return Documents(texts, topic, author, order, stems)


def _shares(liking: NDArray[np.float64]) -> NDArray[np.float64]:
    return liking / liking.sum(1, keepdims=True)


def _written(
    said: NDArray[np.int64], between: NDArray[np.int64], order: tuple[str, ...], random: np.random.Generator,
    words: Language,
) -> tuple[str, NDArray[np.int64]]:  # fmt: skip
    """The text of some sentences, and the stem of each word."""
    ending = random.integers(0, 2, len(said))
    spoken: list[str] = []
    truth: list[int] = []
    for start in range(0, len(said), 3):
        sentence: list[str] = []
        # the first stem is the subject's, whatever the order, so that the order changes no count
        for role in order:
            at = start + "svo".index(role)
            sentence += [words.particles[between[at]], words.stems[said[at]] + ENDING[role][ending[at]]]
            truth += [-1, int(said[at])]
        spoken.append(" ".join(sentence).capitalize() + ".")
    return " ".join(spoken), np.array(truth, np.int64)


def labelled(made: Documents, label: Factor = "topic") -> tuple[list[str], NDArray[np.int64]]:
    """Documents with one of their factors as labels: what ``open_source`` takes.

    Raises:
        OptionError: for an unknown factor.
    """
    if label not in get_args(Factor):
        raise unknown("factor", label, get_args(Factor))
    return made.texts, {"topic": made.topic, "author": made.author, "order": made.order}[label]


def sample(count: int = 64, seed: int = 0) -> tuple[list[str], NDArray[np.int64]]:
    """A small data set with labels, of different lengths: what ``open_source`` takes."""
    return labelled(documents(count, seed, topics=3, authors=3, sentences=(1, 4)))
