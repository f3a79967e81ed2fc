"""What every method shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.parts.heads import width_of
from tacit.views.base import View, join, signature

Samples = Callable[[], Iterator[Batch]]
"""Gives a pass over the data set."""


class Method(nn.Module):
    """A composition of encoder, heads and objective.

    A subclass builds its heads and objective in ``__init__(self, encoder, *, ...)`` from typed keyword
    hyper-parameters with defaults (these are what ``--set name=value`` can set) and says in :meth:`loss` how
    they meet. State that must survive a restart is a buffer. It is a plain module: any loop can train it.

    Attributes:
        recipe: the name of the views it learns from, looked up in the modality's table of recipes
            (``pair``: two views of one recipe; ``asymmetric-pair``: two views of two recipes; ``triple``: three views
            of one recipe; ``multi-crop``: two views and several smaller ones; ``crop``: one view with geometry only).
        uses_labels: whether :meth:`loss` reads ``batch["y"]``.
        labels_optional: whether a method that uses labels also trains on data without them.
        tokens: whether it needs an encoder with tokens.
        preferred: the name of the encoder that it is meant for, used where none is asked for and the kind of data has
            it.
        encoder: gives the embedding, ``[B, encoder.dim]``.
        projector: gives the projection that the objective sees, where there is one; the watch looks at it.
    """

    recipe: ClassVar[str] = "pair"
    uses_labels: ClassVar[bool] = False
    labels_optional: ClassVar[bool] = False
    tokens: ClassVar[bool] = False
    preferred: ClassVar[str | None] = None
    encoder: Any  # a module; methods that ask more of it than an embedding annotate what

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.dim = width_of(encoder)
        self.projector: nn.Module | None = None

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """The loss of one batch, whose ``views`` are made: a scalar, or named scalars that add up to it."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(batch)")

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """:meth:`loss` as named scalars, ``loss`` being their sum."""
        return self.named(self.loss(batch))

    @staticmethod
    def named(terms: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
        """A loss as named scalars, ``loss`` being their sum."""
        if isinstance(terms, Tensor):
            return {"loss": terms}
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    @property
    def in_chunks(self) -> bool:
        """Whether the loss is a function of the projections alone, so that it can train in chunks."""
        return False

    def labelled(self, classes: int) -> None:
        """Called once, before :meth:`sized`, with the number of classes, where the method uses labels.

        A method with a head of one output a class builds it here.
        """

    def sized(self, count: int) -> None:
        """Called once, before weights are loaded or trained, with the number of samples in the data set.

        A method with state per sample (memory banks, labels it gives itself) registers it here, as buffers or
        parameters that ``batch["index"]`` points into.
        """

    def begin(self, samples: Samples) -> None:
        """Called once before the first step of a new run, not when one is resumed.

        A method that must see all data first (to mine neighbours, to cluster) does so here and keeps the outcome in
        its buffers. ``samples()`` gives all of it in order, batch by batch on the training device, each with
        ``index`` and ``views``: the one evaluation view.
        """

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """An epoch's order (a permutation, int64 ``[N]``) so that its runs of ``batch`` samples are what the method
        wants in one batch; a function of its arguments and of what :meth:`begin` kept."""
        return order

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step; ``progress`` runs from 0 to 1 over the training."""

    def encode(self, *views: View) -> tuple[Tensor, ...]:
        """Embeddings ``[B, dim]`` of each view; views of one shape go through the encoder in one call."""
        return self._through(views, self.encoder)

    def _through(self, views: tuple[View, ...], encoder: nn.Module) -> tuple[Tensor, ...]:
        found: dict[int, Tensor] = {}
        kinds = [signature(view) for view in views]
        for kind in dict.fromkeys(kinds):
            at = [i for i in range(len(views)) if kinds[i] == kind]
            parts = embed(encoder, join([views[i] for i in at])).split([len(views[i]["x"]) for i in at])
            found |= zip(at, parts, strict=True)
        return tuple(found[i] for i in range(len(views)))


class Adaptation(Method):
    """A method that trains with labels and predicts them; ``tacit adapt`` runs it.

    Attributes:
        classes: how many there are, once :meth:`labelled` was called.
        partly: whether samples may be without a label, which is then -1.
    """

    uses_labels: ClassVar[bool] = True
    partly: ClassVar[bool] = False
    classes: int

    def labelled(self, classes: int) -> None:
        self.classes = classes

    def predict(self, view: View) -> dict[str, Tensor]:
        """Scores of the classes, ``[B, classes]`` before a softmax, by the name of each way that the method has to
        predict; the first is the one to use."""
        raise NotImplementedError(f"{type(self).__name__} must define predict(view)")


def embed(encoder: nn.Module, view: View) -> Tensor:
    """Embeddings ``[B, dim]`` of one view; ``length`` is passed on where the view has it."""
    if "length" in view:
        return encoder(view["x"], length=view["length"])
    return encoder(view["x"])


class JointEmbedding(Method):
    """A method whose loss is ``objective(*projections of the views)``: encoder, ``projector``, ``objective``.

    Because the loss depends on the samples through their projections alone, such a method can train with a
    batch larger than memory (:mod:`tacit.parts.cached`).
    """

    projector: nn.Module
    objective: nn.Module

    def project(self, *views: View) -> tuple[Tensor, ...]:
        """Projections ``[B, out]`` of each view; batch norm sees all views of one shape at once."""
        embeddings = self.encode(*views)
        return self.projector(torch.cat(embeddings)).split([len(h) for h in embeddings])

    def compare(self, *projections: Tensor) -> Tensor | dict[str, Tensor]:
        """The objective's value, or its named terms where it offers ``terms``."""
        return getattr(self.objective, "terms", self.objective)(*projections)

    def loss(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        return self.compare(*self.project(*batch["views"]))

    @property
    def in_chunks(self) -> bool:
        return type(self).loss is JointEmbedding.loss
