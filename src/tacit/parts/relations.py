"""Which samples are alike, as somebody answered: the answers, who gives them, and what to ask next."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch
from torch import Tensor
from torch.nn import functional

YES, NO, UNKNOWN = 1, 0, -1
Rule = Literal["passive", "star", "active", "disagreement"]


class Oracle(Protocol):
    """Whoever can say whether two samples are alike: a person, or labels that stand in for one.

    Attributes:
        asked: questions put so far.
    """

    asked: int

    def query(self, pairs: Tensor) -> Tensor:
        """Answers to ``pairs`` (int64 ``[M, 2]``), one question each: 1, 0, or -1 for unknown, int8 ``[M]``."""

    def screen(self, anchor: int, candidates: Tensor) -> Tensor:
        """Which ``candidates`` (int64 ``[M]``) are like the anchor; one look at a screen is one question."""


class LabelOracle:
    """Answers from labels.

    Args:
        labels: int64 ``[N]``; samples with a negative label are unknown.
        noise: share of known answers that are turned around, in [0, 1).
        seed: of that noise.
    """

    def __init__(self, labels: Tensor, noise: float = 0.0, seed: int = 0) -> None:
        if not 0 <= noise < 1:
            raise ValueError(f"noise must be a share from 0 to below 1, not {noise}")
        self.labels, self.noise, self.asked = labels.cpu(), noise, 0
        self.generator = torch.Generator().manual_seed(seed)

    def query(self, pairs: Tensor) -> Tensor:
        self.asked += len(pairs)
        return self._answers(pairs)

    def screen(self, anchor: int, candidates: Tensor) -> Tensor:
        self.asked += 1
        return self._answers(torch.stack((torch.full_like(candidates, anchor), candidates), 1))

    def _answers(self, pairs: Tensor) -> Tensor:
        first, second = self.labels[pairs].unbind(1)
        turned = torch.rand(len(pairs), generator=self.generator) < self.noise
        answer = ((first == second) ^ turned).to(torch.int8)
        return torch.where((first < 0) | (second < 0), UNKNOWN, answer).to(torch.int8)


class Relations:
    """Answers about pairs of ``count`` samples; a later answer about a pair takes the place of an earlier one.

    Attributes:
        count: samples.
        pairs: each answered pair once, the smaller position first: int64 ``[M, 2]``.
        answers: 1 or 0 for each, int8 ``[M]``.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.pairs = torch.empty(0, 2, dtype=torch.int64)
        self.answers = torch.empty(0, dtype=torch.int8)

    def add(self, pairs: Tensor, answers: Tensor) -> None:
        """Remember answers; unknown ones and pairs of a sample with itself are left out.

        Raises:
            ValueError: for positions outside the data or other shapes.
        """
        if pairs.ndim != 2 or pairs.shape[1] != 2 or len(answers) != len(pairs):
            raise ValueError(f"pairs must be [M, 2] with M answers, not {list(pairs.shape)} and {list(answers.shape)}")
        if len(pairs) and not (int(pairs.min()) >= 0 and int(pairs.max()) < self.count):
            raise ValueError(f"pairs must hold positions from 0 to {self.count - 1}")
        keep = (answers != UNKNOWN) & (pairs[:, 0] != pairs[:, 1])
        every = torch.cat((self.pairs, pairs[keep].sort(1).values))
        answered = torch.cat((self.answers, answers[keep].to(torch.int8)))
        key = every[:, 0] * self.count + every[:, 1]
        found, place = key.unique(return_inverse=True)
        last = torch.zeros_like(found).scatter_reduce(0, place, torch.arange(len(key)), "amax")
        self.pairs, self.answers = every[last], answered[last]

    def groups(self) -> Tensor:
        """The connected component of each sample by its positive answers: int64 ``[N]``.

        One wrong yes joins two groups for good.
        """
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        yes = self.pairs[self.answers == YES].numpy()
        edges = coo_matrix(([True] * len(yes), (yes[:, 0], yes[:, 1])), (self.count, self.count))
        return torch.from_numpy(connected_components(edges, directed=False)[1]).long()

    def found(self, labels: Tensor) -> float:
        """The share of all pairs with one label that the positive answers and their closure know."""
        alike, known = (_pairs_within(members) for members in (labels, labels * self.count + self.groups()))
        return known / max(alike, 1)


def _pairs_within(members: Tensor) -> int:
    sizes = torch.unique(members, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def ask(
    oracle: Oracle,
    relations: Relations,
    questions: int,
    rule: Rule = "passive",
    embeddings: Tensor | None = None,
    generator: torch.Generator | None = None,
    screen: int = 16,
    threshold: float = 0.5,
) -> None:
    """Put up to ``questions`` questions to ``oracle`` and add the answers to ``relations``.

    Args:
        oracle: who answers.
        relations: what is known; it grows.
        questions: the budget.
        rule: which questions. ``passive``: random pairs. ``star``: a random anchor and ``screen`` random candidates,
            one question a screen. ``active``: one representative of each class found so far; each new sample is
            compared with them, the most similar first, until a yes, else it opens a class. ``disagreement``: pairs,
            of twenty times as many random ones, where the cosine and what follows from earlier answers disagree, then
            those with a cosine nearest ``threshold``.
        embeddings: ``[N, D]``, for the last two rules.
        generator: source of randomness.
        screen: candidates on a screen.
        threshold: cosine from which two samples seem alike.

    Source: Cabannes et al. 2023, Active Self-Supervised Learning; the last two rules are our reading.

    Raises:
        ValueError: for an unknown rule, or one that needs embeddings and has none.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule must be one of {', '.join(get_args(Rule))}, not {rule!r}")
    generator = generator or torch.Generator().manual_seed(0)
    if rule == "passive":
        pairs = _random_pairs(relations.count, questions, generator)
        relations.add(pairs, oracle.query(pairs))
        return
    if rule == "star":
        _screens(oracle, relations, questions, screen, generator)
        return
    if embeddings is None or len(embeddings) != relations.count:
        raise ValueError(f"the rule {rule!r} needs the embedding of each of the {relations.count} samples")
    unit = functional.normalize(embeddings.float().cpu(), eps=1e-6)
    if rule == "active":
        _representatives(oracle, relations, questions, unit, generator)
        return
    pairs = _random_pairs(relations.count, 20 * questions, generator).unique(dim=0)
    pairs = pairs[~_known(relations, pairs)]
    cosine = (unit[pairs[:, 0]] * unit[pairs[:, 1]]).sum(1)
    group = relations.groups()
    conflict = (group[pairs[:, 0]] == group[pairs[:, 1]]) & (cosine < threshold)
    urgent = torch.where(conflict, -1.0, (cosine - threshold).abs())
    chosen = pairs[urgent.argsort(stable=True)[:questions]]
    relations.add(chosen, oracle.query(chosen))


def _random_pairs(count: int, number: int, generator: torch.Generator) -> Tensor:
    """Pairs of two different samples, the smaller position first."""
    first = torch.randint(count, (number,), generator=generator)
    other = torch.randint(1, count, (number,), generator=generator)
    return torch.stack((first, (first + other) % count), 1).sort(1).values


def _known(relations: Relations, pairs: Tensor) -> Tensor:
    key, known = (p[:, 0] * relations.count + p[:, 1] for p in (pairs, relations.pairs))
    return torch.isin(key, known)


def _screens(oracle: Oracle, relations: Relations, questions: int, screen: int, generator: torch.Generator) -> None:
    pairs, answers = [], []
    for _ in range(questions):
        shown = torch.randperm(relations.count, generator=generator)[: screen + 1]
        pairs.append(torch.stack((shown[:1].expand(len(shown) - 1), shown[1:]), 1))
        answers.append(oracle.screen(int(shown[0]), shown[1:]))
    if pairs:
        relations.add(torch.cat(pairs), torch.cat(answers))


def _representatives(
    oracle: Oracle, relations: Relations, questions: int, unit: Tensor, generator: torch.Generator
) -> None:
    """Classes are opened one by one; a person's answers come one by one too, so this is a loop over samples."""
    left = questions
    representatives: list[int] = []
    pairs: list[list[int]] = []
    answers: list[int] = []
    for sample in torch.randperm(relations.count, generator=generator).tolist():
        nearest = (unit[representatives] @ unit[sample]).argsort(descending=True).tolist() if representatives else []
        told = UNKNOWN
        for place in nearest:
            if not left:
                break
            left -= 1
            pair = [representatives[place], sample]
            told = int(oracle.query(torch.tensor([pair]))[0])
            pairs.append(pair)
            answers.append(told)
            if told == YES:
                break
        if told != YES and (left or not representatives):
            representatives.append(sample)
        if not left:
            break
    if pairs:
        relations.add(torch.tensor(pairs), torch.tensor(answers, dtype=torch.int8))
