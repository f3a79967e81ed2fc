"""PAL: views are alike, and so is whatever somebody says is alike."""

from __future__ import annotations

import csv
import math
import warnings
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import DataError, OptionError
from tacit.methods.base import Method, Samples
from tacit.objectives.graphs import GraphBarlowTwins, GraphContrast, GraphFactorisation, GraphVICReg
from tacit.parts import ranks
from tacit.parts.heads import Norm, mlp
from tacit.parts.relations import YES, LabelOracle, Relations, Rule, ask
from tacit.registry import register

SCREEN = 16
"""Candidates on a screen of the rule ``star``."""
NONE = torch.iinfo(torch.int64).max


@register(
    "pal",
    kind="method",
    family="contrastive",
    title="Active Self-Supervised Learning: A Few Low-Cost Relationships Are All You Need",
    year=2023,
    url="https://arxiv.org/abs/2303.15256",
    basis="reading",
)
class PAL(Method):
    """A loss on a graph over the batch: two views of a sample are neighbours, and samples that were answered alike.

    Before training questions are asked, of labels where the data has such (one in the place of an oracle; without
    labels nothing is known, and the graph has views alone), or read from a file of answers. The classes themselves are
    never used. For answers of one's own in between trainings, see :mod:`tacit.parts.relations`: what to ask about by a
    run's embeddings, and what follows from the answers.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> out``.
        form: the loss: ``simclr``, ``vicreg``, ``barlow`` or ``squared``.
        queries: questions a sample, at most; 0: views alone.
        rule: which to ask: ``passive``, ``star``, ``active`` or ``disagreement``; the last two go by the embeddings of
            the encoder that training starts from.
        labels: in place of questions, whether all pairs with one label are neighbours: supervised learning.
        closure: whether what is alike to the same sample counts as alike. One wrong yes then joins two groups.
        noise: share of answers from labels that are wrong.
        answers: a CSV file with columns ``first``, ``second`` (positions of samples) and ``answer`` (1 or 0) in place
            of questions; at most ``queries`` a sample.
        temperature: of ``simclr``.
        norm: normalisation in the projector.
    """

    uses_labels: ClassVar[bool] = True
    labels_optional: ClassVar[bool] = True
    projector: nn.Module
    group: Tensor
    positive: Tensor
    negative: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 512,
        out: int = 128,
        form: Literal["simclr", "vicreg", "barlow", "squared"] = "simclr",
        queries: float = 1.0,
        rule: Rule = "active",
        labels: bool = False,
        closure: bool = True,
        noise: float = 0.0,
        answers: str = "",
        temperature: float = 0.2,
        norm: Norm = "batch",
    ) -> None:
        super().__init__(encoder)
        if form not in ("simclr", "vicreg", "barlow", "squared"):
            raise OptionError(f"form must be simclr, vicreg, barlow or squared, not {form!r}")
        if not queries >= 0:
            raise OptionError(f"queries must not be negative, but is {queries}")
        if not 0 <= noise < 1:
            raise OptionError(f"noise must be a share from 0 to below 1, not {noise}")
        self.projector = mlp([self.dim, hidden, out], norm)
        kinds = {"vicreg": GraphVICReg, "barlow": GraphBarlowTwins, "squared": GraphFactorisation}
        self.objective: nn.Module = GraphContrast(temperature) if form == "simclr" else kinds[form]()
        self.queries, self.rule, self.supervised = queries, rule, labels
        self.closure, self.noise, self.answers = closure, noise, answers

    def sized(self, count: int) -> None:
        # A pair in keys of both orders; places that no answer takes hold a key that no pair has.
        size = 2 * math.ceil(self.queries * count) * (SCREEN if self.rule == "star" else 1)
        self.register_buffer("group", torch.arange(count))
        self.register_buffer("positive", torch.full((size,), NONE))
        self.register_buffer("negative", torch.full((size,), NONE))

    @torch.no_grad()
    def begin(self, samples: Samples) -> None:
        """Ask, and keep the answers."""
        if not (self.queries or self.supervised):
            return
        if self.answers:
            self.remember(self._read())
            return
        rows, labels = [], []
        for batch in samples():
            if "y" not in batch:
                warnings.warn("the data has no labels to answer from: only views are alike", stacklevel=2)
                return
            labels.append(batch["y"].cpu())
            if self.rule in ("active", "disagreement") and not self.supervised:
                rows.append(self.encode(batch["views"][0])[0].float().cpu())
        known = torch.cat(labels)
        if self.supervised:
            self.group = torch.where(known >= 0, known, known.max() + 1 + torch.arange(len(known))).to(self.group)
            return
        relations = Relations(len(known))
        embeddings = torch.cat(rows) if rows else None
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        oracle = LabelOracle(known, self.noise, int(torch.randint(2**31, ())))
        ask(oracle, relations, int(self.queries * len(known)), self.rule, embeddings, generator, SCREEN)
        self.remember(relations)

    def remember(self, relations: Relations) -> None:
        """Take these answers as the graph's edges.

        Raises:
            OptionError: if there are more than ``queries`` a sample.
        """
        count, device = len(self.group), self.group.device
        pairs = torch.cat((relations.pairs, relations.pairs.flip(1)))
        if len(pairs) > len(self.positive):
            raise OptionError(f"{len(relations.pairs)} answers are more than queries={self.queries} a sample allows")
        key, yes = pairs[:, 0] * count + pairs[:, 1], (relations.answers == YES).repeat(2)
        for store, chosen in ((self.positive, key[yes]), (self.negative, key[~yes])):
            store.fill_(NONE)
            store[: len(chosen)] = chosen.sort().values.to(device)
        if self.closure:
            self.group.copy_(relations.groups())

    def _read(self) -> Relations:
        path, found = Path(self.answers), Relations(len(self.group))
        try:
            lines = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
            rows = torch.tensor([[int(line[c]) for c in ("first", "second", "answer")] for line in lines])
            found.add(rows.view(-1, 3)[:, :2], rows.view(-1, 3)[:, 2].to(torch.int8))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"answers {path} must be a CSV file with first, second and answer: {error}") from None
        return found

    def graph(self, index: Tensor) -> Tensor:
        """Which samples at ``index`` (int64 ``[B]``) are alike, a sample with itself too: float32 ``[B, B]``."""
        key = index[:, None] * len(self.group) + index
        group = self.group[index]
        alike = (group[:, None] == group) | _in(key, self.positive)
        return ((alike & ~_in(key, self.negative)) | (index[:, None] == index)).float()

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        views = self.encode(*batch["views"])
        z = self.projector(torch.cat(views)).split([len(h) for h in views])
        everyone = ranks.gather(batch["index"]).repeat_interleave(len(views))
        rows = torch.stack(z, 1).flatten(0, 1)  # the views of a sample one after the other, on every rank
        return getattr(self.objective, "terms", self.objective)(rows, self.graph(everyone))


def _in(keys: Tensor, sorted_keys: Tensor) -> Tensor:
    """Which keys are among the sorted ones."""
    if not len(sorted_keys):
        return torch.zeros_like(keys, dtype=torch.bool)
    at = torch.searchsorted(sorted_keys, keys).clamp_max(len(sorted_keys) - 1)
    return sorted_keys[at] == keys
