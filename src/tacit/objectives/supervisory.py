"""Supervisory kernels: who belongs to whom, as each row's distribution over the columns."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.objectives.blocks import leave_out_own
from tacit.objectives.learned import squared_distance
from tacit.parts import ranks

Columns = Literal["samples", "pairs", "classes"]
BISECTIONS = 50


@dataclass(frozen=True)
class Context:
    """What is known of all rows of all ranks, a sample's views next to each other.

    Attributes:
        views: rows of each sample, V.
        total: rows of all ranks, N.
        first: position of this rank's first row among them.
        device, dtype: where tensors are and what the distributions are made of.
        labels: int64 ``[N]``.
        features: ``[N, F]``.
        graph: weights between this rank's samples and all samples, ``[B, R*B]``.
    """

    views: int
    total: int
    first: int
    device: torch.device
    dtype: torch.dtype
    labels: Tensor | None = None
    features: Tensor | None = None
    graph: Tensor | None = None

    @staticmethod
    @torch.no_grad()
    def of(
        projections: Sequence[Tensor],
        labels: Tensor | None = None,
        features: Tensor | None = None,
        graph: Tensor | None = None,
    ) -> Context:
        """Of this rank's samples, whose views' projections are ``[B, D]``.

        Raises:
            ValueError: for shapes that do not fit.
        """
        rank, size = ranks.world()
        views, samples = len(projections), len(projections[0])
        if labels is not None:
            if labels.shape != (samples,):
                raise ValueError(f"labels must be one for each of {samples} samples, not {tuple(labels.shape)}")
            labels = ranks.gather(labels.repeat_interleave(views))
        if features is not None:
            if features.ndim not in (2, 3) or len(features) != samples or features.shape[1:-1] not in ((), (views,)):
                raise ValueError(
                    f"features must be [{samples}, width] or [{samples}, {views}, width], not {tuple(features.shape)}"
                )
            by_view = features if features.ndim == 3 else features[:, None].expand(-1, views, -1)
            features = ranks.gather(by_view.flatten(0, 1))
        if graph is not None and graph.shape != (samples, samples * size):
            raise ValueError(f"graph must be [{samples}, {samples * size}], not {tuple(graph.shape)}")
        rows = views * samples
        device, dtype = projections[0].device, projections[0].dtype
        return Context(views, rows * size, rank * rows, device, dtype, labels, features, graph)


class Supervisory(nn.Module, ABC):
    """Distributions over the columns, one for each row; a row without neighbours is zero.

    Attributes:
        columns: what the columns are: the rows themselves (``samples``), the other part of each sample (``pairs``),
            or ``classes``.
        needs: what of the context must be given.
    """

    columns: ClassVar[Columns] = "samples"
    needs: ClassVar[tuple[str, ...]] = ()

    @torch.no_grad()
    def forward(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        """Rows ``first`` to ``first + count`` of all: ``[count, C]``.

        Args:
            mask: leave each row out of its own neighbours.
        """
        weights = self.weights(context, first, count, mask)
        if mask:
            weights = leave_out_own(weights, first, value=0.0)
        return weights / weights.sum(1, True).clamp_min(torch.finfo(weights.dtype).tiny)

    @abstractmethod
    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        """What :meth:`forward` normalises, a fresh tensor of numbers that are not negative."""

    def check(self, context: Context, columns: Tensor | None) -> None:
        """Make sure that what the kernel needs is there.

        Raises:
            ValueError: naming what is missing.
        """
        for name in self.needs:
            if getattr(context, name) is None:
                raise ValueError(f"{type(self).__name__} needs {name}")
        if (columns is None) != (self.columns == "samples"):
            raise ValueError(f"{type(self).__name__} {'needs' if columns is None else 'takes no'} columns")

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in vars(self).items() if not k.startswith("_") and k != "training")


class Augmentation(Supervisory):
    """The other views of the same sample, equally."""

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        source = torch.arange(context.total, device=context.device) // context.views
        return (source[first : first + count, None] == source).to(context.dtype)


class Labels(Supervisory):
    """The rows of the same label, equally."""

    needs: ClassVar[tuple[str, ...]] = ("labels",)

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        assert context.labels is not None
        return (context.labels[first : first + count, None] == context.labels).to(context.dtype)


class Classes(Supervisory):
    """One of ``count`` classes, by label; the columns are the classes' prototypes."""

    columns: ClassVar[Columns] = "classes"
    needs: ClassVar[tuple[str, ...]] = ("labels",)

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        assert context.labels is not None
        classes = torch.arange(self.count, device=context.device)
        return (context.labels[first : first + count, None] == classes).to(context.dtype)


class Pairs(Supervisory):
    """The sample's own part in another modality; the columns are those parts, one a sample."""

    columns: ClassVar[Columns] = "pairs"

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        row = torch.arange(first, first + count, device=context.device)[:, None] // context.views
        return (row == torch.arange(context.total // context.views, device=context.device)).to(context.dtype)


class Given(Supervisory):
    """A graph's weights between samples, not negative and not necessarily symmetric; views inherit them."""

    needs: ClassVar[tuple[str, ...]] = ("graph",)

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        assert context.graph is not None
        own = torch.arange(first - context.first, first - context.first + count, device=context.device)
        every = torch.arange(context.total, device=context.device)
        return context.graph[own // context.views][:, every // context.views].to(context.dtype)


class Neighbours(Supervisory):
    """The k nearest rows in the space of the features, equally; the row itself is none of them.

    Args:
        k: at least 1; all there are where the batch has fewer.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        self.k = k

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        found = _distances(context, first, count, True)
        nearest = found.topk(min(self.k, context.total - 1), 1, largest=False).indices
        return torch.zeros_like(found).scatter_(1, nearest, 1.0)


class GaussianNeighbours(Supervisory):
    """``exp(-d^2 / (2 sigma^2))`` of the distance d of the features.

    Args:
        sigma: width, above 0; ignored where there is a perplexity.
        perplexity: instead of one sigma, one for each row so that its distribution has this perplexity (the
            exponential of its entropy), found by 50 bisections; at most the number of other rows.

    Raises:
        ValueError: for an argument that is not positive.
    """

    needs: ClassVar[tuple[str, ...]] = ("features",)

    def __init__(self, sigma: float = 1.0, perplexity: float | None = None) -> None:
        super().__init__()
        if not sigma > 0 or (perplexity is not None and not perplexity >= 1):
            raise ValueError(f"sigma must be positive and perplexity at least 1, not {sigma} and {perplexity}")
        self.sigma = sigma
        self.perplexity = perplexity

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        found = _distances(context, first, count, mask)
        if self.perplexity is None:
            return (-found / (2 * self.sigma**2)).softmax(1)
        wanted = math.log(min(self.perplexity, context.total - mask))
        # Relative to the mean distance, a sharpness between e^-20 and e^20 covers what float32 can tell apart.
        finite = found.masked_fill(found == torch.inf, 0)
        scale = finite.mean(1, True).clamp_min(torch.finfo(found.dtype).tiny)
        low, high = torch.full_like(scale, -20.0), torch.full_like(scale, 20.0)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            p = (-found / scale * middle.exp()).softmax(1)
            wide = -torch.xlogy(p, p).sum(1, True) > wanted
            low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
        return (-found / scale * ((low + high) / 2).exp()).softmax(1)


class Walk(Supervisory):
    """Where a random walk on another kernel's graph is after some steps.

    Args:
        graph: the kernel whose distributions, without the row itself, are a step.
        steps: at least 1.
    """

    def __init__(self, graph: Supervisory, steps: int = 2) -> None:
        super().__init__()
        if steps < 1:
            raise ValueError(f"a walk has at least 1 step, not {steps}")
        self.graph = graph
        self.steps = steps

    def check(self, context: Context, columns: Tensor | None) -> None:
        super().check(context, columns)
        self.graph.check(context, columns)

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        where = self.graph(context, first, count, True)
        for _ in range(self.steps - 1):
            # The graph's rows are made a block at a time and again at each step: it need not fit into memory.
            steps = (slice(start, min(start + count, context.total)) for start in range(0, context.total, count))
            after = torch.zeros_like(where)
            for step in steps:
                after += where[:, step] @ self.graph(context, step.start, step.stop - step.start, True)
            where = after
        return where


class Sum(Supervisory):
    """A weighted mean of kernels' distributions, normalised anew where some have no neighbour for a row.

    Args:
        kernels: at least one.
        weights: as many, not negative; equal by default.
    """

    def __init__(self, kernels: Sequence[Supervisory], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.kernels = nn.ModuleList(kernels)
        self.shares = tuple(weights) if weights is not None else (1.0,) * len(kernels)
        if not kernels or len(self.shares) != len(kernels) or min(self.shares) < 0 or not sum(self.shares):
            raise ValueError(f"{len(kernels)} kernels need as many weights that are not negative, not {self.shares}")

    def check(self, context: Context, columns: Tensor | None) -> None:
        for kernel in self.kernels:
            assert isinstance(kernel, Supervisory)
            kernel.check(context, columns)

    def weights(self, context: Context, first: int, count: int, mask: bool) -> Tensor:
        total = torch.zeros((), dtype=context.dtype, device=context.device)
        for share, kernel in zip(self.shares, self.kernels, strict=True):
            total = total + share * kernel(context, first, count, mask)
        return total


def _distances(context: Context, first: int, count: int, mask: bool) -> Tensor:
    assert context.features is not None
    features = context.features.to(context.dtype)
    found = squared_distance(features[first : first + count], features)
    return leave_out_own(found, first, value=torch.inf) if mask else found
