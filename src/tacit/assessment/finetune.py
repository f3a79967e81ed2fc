"""Fine-tuning: what the whole encoder reaches when it is trained further with labels."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.assessment.halves import Half, halves
from tacit.data import Batch, moved
from tacit.errors import DataError, OptionError
from tacit.evaluation.bootstrap import bootstrap_interval
from tacit.evaluation.ridge import score
from tacit.methods.base import embed
from tacit.modalities import modality
from tacit.parts.draws import Draws, mix
from tacit.parts.heads import width_of
from tacit.run import Run, fastest, through
from tacit.views.base import Views

Start = Literal["trained", "random"]


@dataclass(frozen=True)
class Tuning:
    """How encoders are trained with labels.

    Attributes:
        steps: of AdamW; the rate warms up over the first tenth and falls to 0 by a cosine.
        batch_size: samples a step.
        rates: learning rates; each is tried, and the one with the best score on the validation part is taken.
        weight_decay: of AdamW.

    Raises:
        OptionError: for an impossible value.
    """

    steps: int = 200
    batch_size: int = 64
    rates: tuple[float, ...] = (3e-4, 3e-3)
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2:
            raise OptionError(f"needs at least 1 step and batches of 2, not {self.steps} and {self.batch_size}")
        if not self.rates or min(self.rates) <= 0:
            raise OptionError(f"rates must be learning rates above 0, not {list(self.rates)}")


@dataclass(frozen=True)
class Tuned:
    """A trained predictor.

    Attributes:
        predict: from samples to scores ``[N, C]`` or predicted numbers ``[N, t]``, float32 on the CPU.
        score: from these and the labels to accuracy, R2 or mean average precision.
        rate: the learning rate that was taken.
        validation: its score on the validation part.
    """

    predict: Callable[[Half], Tensor]
    score: Callable[[Tensor, Tensor], float]
    rate: float
    validation: float


def finetune(
    run: Run,
    data: Any,
    test: Any = None,
    *,
    tuning: Tuning | None = None,
    validation: float = 0.2,
    test_fraction: float = 0.25,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Train the run's encoder further with labels, and one of the same shape from scratch, each with its own best rate.

    Training views are those of one sample at a time of the kind of data (``single``), with the run's options of views.

    Args:
        data, test: labelled data, as :func:`tacit.evaluate` takes it.
        tuning: steps, batch size and rates.
        validation: share of the training data that chooses the rate.
        seed: of the splits, the head, the order, the views and the bootstrap.

    Returns:
        for ``random`` (from scratch) and ``trained`` (fine-tuned): ``value`` (accuracy, R2 or mean average precision),
        ``low`` and ``high`` (95% bootstrap, for accuracy), ``rate`` and ``validation``.

    Raises:
        DataError: for data without labels, of one class, or of fewer than 4 samples to learn from.
    """
    train, held = halves(run, data, test, fraction=test_fraction, seed=seed, reading=reading)
    return of_tuning(run, train, held, tuning or Tuning(), validation, seed)


def of_tuning(
    run: Run, train: Half, test: Half, tuning: Tuning, validation: float = 0.2, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """:func:`finetune` of data that is divided already."""
    if len(train) < 4:
        raise DataError(f"fine-tuning needs at least 4 samples to learn from, not {len(train)}")
    fitted, valid = train.divided(validation, seed)
    found: dict[str, dict[str, Any]] = {}
    starts: tuple[Start, ...] = ("random", "trained")
    for start in starts:
        best = tuned(run, start, fitted, valid, tuning, seed)
        scores = best.predict(test)
        found[start] = {"value": best.score(scores, test.y), "rate": best.rate, "validation": best.validation}
        if test.task == "classes":
            right = (scores.argmax(1) == test.y).double().numpy()
            found[start]["low"], found[start]["high"] = bootstrap_interval(right, seed=seed)
    return found


def tuned(run: Run, start: Start, train: Half, valid: Half, tuning: Tuning, seed: int = 0) -> Tuned:
    """The best of the rates on the validation part, from the trained encoder or from a random one."""
    goal = _Goal(train)
    best: Tuned | None = None
    for rate in tuning.rates:
        torch.manual_seed(mix(seed, 0xF17E))
        network = _fitted(run, start, train, goal, tuning, rate, seed)

        def predict(half: Half, network: nn.Module = network) -> Tensor:
            return _predicted(run, network, half, goal)

        value = goal.score(predict(valid), valid.y)
        if best is None or value > best.validation:
            best = Tuned(predict, goal.score, rate, value)
    assert best is not None
    return best


class _Goal:
    """What is predicted, by what loss, and how good it is."""

    def __init__(self, train: Half) -> None:
        self.task, y = train.task, train.y
        if self.task == "classes":
            if len(y.unique()) < 2:
                raise DataError(f"training labels must have at least two classes, but all are '{int(y[0])}'")
            if int(y.min()) < 0:
                raise DataError(f"classes must count from 0, and the smallest is {int(y.min())}")
            self.width = int(y.max()) + 1
            return
        wide = y.float() if y.ndim > 1 else y.float()[:, None]
        self.width = wide.shape[1]
        if self.task == "numbers":
            self.mean, self.std = wide.mean(0), wide.std(0, correction=0).clamp_min(1e-6)

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        if self.task == "classes":
            return F.cross_entropy(scores, y)
        wide = y.float() if y.ndim > 1 else y.float()[:, None]
        if self.task == "several":
            return F.binary_cross_entropy_with_logits(scores, wide)
        return F.mse_loss(scores, (wide - self.mean.to(wide)) / self.std.to(wide))

    def score(self, scores: Tensor, y: Tensor) -> float:
        if self.task == "classes":
            return float((scores.argmax(1) == y).double().mean())
        truth = y.numpy() if y.ndim > 1 else y.numpy()[:, None]
        return float(score(scores.double().numpy(), truth, self.task)[0])


def _fitted(run: Run, start: Start, train: Half, goal: _Goal, tuning: Tuning, rate: float, seed: int) -> nn.Module:
    """Encoder and a linear head, trained together."""
    device, views = fastest(), single_views(run)
    encoder = run.random_encoder() if start == "random" else copy.deepcopy(run.encoder)
    head = nn.Linear(width_of(encoder), goal.width)
    network = nn.ModuleDict({"encoder": encoder, "head": head}).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=tuning.weight_decay)
    order = _order(len(train), tuning, seed)
    for step in range(tuning.steps):
        batch = moved(train.source.batch(train.rows[order[step]]), device)
        (view, *_) = views(batch, Draws.seeded(seed, step, device=device))
        share = step / tuning.steps
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (share + 1 / tuning.steps) / 0.1) * (1 + math.cos(math.pi * share)) / 2
        optimiser.zero_grad()
        goal.loss(network["head"](embed(network["encoder"], view)).float(), train.y[order[step]].to(device)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval().cpu()


def _order(count: int, tuning: Tuning, seed: int) -> list[Tensor]:
    """Positions of each step's samples; passes over all in random order, the last ones of a pass filled up."""
    random = np.random.default_rng(mix(seed, count))
    size = min(tuning.batch_size, count)
    passes = -(-tuning.steps * size // count)
    flat = np.concatenate([random.permutation(count) for _ in range(passes)])
    return list(torch.from_numpy(flat[: tuning.steps * size]).split(size))


def _predicted(run: Run, network: Any, half: Half, goal: _Goal) -> Tensor:
    views = run.evaluation_view()

    def of(batch: Batch) -> Tensor:
        return network["head"](embed(network["encoder"], views(batch)[0])).float().cpu()

    found = torch.cat(list(through(of, half.batches(), network)))
    return found * goal.std + goal.mean if goal.task == "numbers" else found


def single_views(run: Run) -> Views:
    """Views of one sample at a time with the run's options of views; where these are options of the run's own recipe
    alone, that recipe, of which the first view is used."""
    try:
        return modality(run.config["modality"]).make_views("single", run.spec, **run.config["views"]["options"])
    except OptionError:
        return run.training_views()


__all__ = ["Start", "Tuned", "Tuning", "finetune", "of_tuning", "single_views", "tuned"]
