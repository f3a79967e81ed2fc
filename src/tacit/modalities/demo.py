"""What a kind of data declares for ``tacit demo``; one runner trains, evaluates and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Demo:
    """A demonstration that takes less than three minutes on two cores, offline.

    Attributes:
        title: one sentence that says what is seen, e.g. what the test samples have not in common with the others.
        data: ``seed -> (train, test)``, each what the kind's ``open_source`` takes, with labels; training does not see
            them.
        method: what it is trained with.
        encoder: by name; None for the automatic one.
        views: a recipe instead of the method's own.
        epochs, batch_size: how long.
        options: any other option of :func:`tacit.pretrain`.
        raw: what the kind's ``raw`` gives, in words.
    """

    title: str
    data: Callable[[int], tuple[Any, Any]]
    method: str = "simclr"
    encoder: str | None = None
    views: str | None = None
    epochs: int = 30
    batch_size: int = 128
    options: Mapping[str, Any] = field(default_factory=dict)
    raw: str = "raw input"
