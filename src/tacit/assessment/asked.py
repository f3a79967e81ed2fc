"""What a measure of a run is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tacit.assessment.halves import Half, Samples
from tacit.data import Batch
from tacit.errors import DataError, OptionError
from tacit.evaluation.measures import Task
from tacit.methods.base import embed
from tacit.parts.draws import Draws
from tacit.run import Run, through


@dataclass(frozen=True)
class Asked:
    """A run and the samples to measure it on.

    Attributes:
        run: the run.
        train: the ``N`` samples to learn from.
        test: the ``Q`` held out (of the same source, unless the user named other data); None where there are none.
        spaces, test_spaces: their representations by name (``raw``, ``random``, ``trained``): ``[N, D]``, ``[Q, D]``.
        task: what the labels are.
        k, seed: of votes, and of everything random.
    """

    run: Run
    train: Samples
    test: Samples | None
    spaces: Mapping[str, Tensor]
    test_spaces: Mapping[str, Tensor]
    task: Task
    k: int
    seed: int

    @property
    def labelled(self) -> bool:
        """Whether there are labels, both to learn from and to test on."""
        return isinstance(self.train, Half) and isinstance(self.test, Half)

    def halves(self) -> tuple[Half, Half]:
        """The samples to learn from and those held out, with their labels.

        Raises:
            DataError: where nothing is labelled or held out.
        """
        if not isinstance(self.train, Half) or not isinstance(self.test, Half):
            raise DataError("this measure needs labels of training and test samples")
        return self.train, self.test

    def pixels(self, most: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The first held-out images (of those to learn from, where none is held out), float32 ``[n, C, H, W]`` in
        [0, 1], and what makes of such images what an encoder is shown.

        Raises:
            OptionError: if the run is not of images, or of images whose values are not in [0, 1].
        """
        if self.run.config["modality"] != "image":
            raise OptionError("this measure alters pixels: it needs a run of images")
        spec = self.run.spec
        scale, shift = (torch.tensor(values)[:, None, None] for values in (spec.std, spec.mean))
        half, view = self.test or self.train, self.run.evaluation_view()
        views = [view(batch)[0]["x"] for batch in half.source.batches(256, half.rows[:most])]
        x = torch.cat(views).float() * scale + shift
        if float(x.min()) < -1e-3 or float(x.max()) > 1 + 1e-3:
            raise OptionError("this measure needs images with values in [0, 1], or whole numbers up to 255")
        return x.clamp(0, 1), lambda part: (part - shift) / scale

    def drawn(self, network: nn.Module, count: int, views: int, size: int = 256) -> Tensor:
        """Embeddings of several random views of each of the first ``count`` samples: float32 ``[n, views, dim]``.

        The views are those that the run learned from, each drawn by itself; of a recipe of several it is the first.
        """
        make, step = self.run.training_views(), itertools.count()

        def of(batch: Batch) -> Tensor:
            place, device = next(step), batch["index"].device
            drawn = (make(batch, Draws.seeded(self.seed, place, i, device=device))[0] for i in range(views))
            return torch.stack([embed(network, view).float().cpu() for view in drawn], 1)

        batches = self.train.source.batches(size, self.train.rows[:count])
        return torch.cat(list(through(of, batches, network)))


__all__ = ["Asked"]
