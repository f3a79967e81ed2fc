"""How much each layer of an encoder knows, by a line and by more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from tacit.assessment.halves import Half, halves, scored
from tacit.assessment.taps import LIMIT, tapped
from tacit.errors import unknown
from tacit.evaluation.agreement import rank_correlation
from tacit.evaluation.bootstrap import bootstrap_interval
from tacit.evaluation.measures import fits
from tacit.evaluation.sgd_probe import MLP, Recipe, head_probe
from tacit.registry import register
from tacit.run import Run

PROBES = ("linear", "mlp")


@register(
    "revisiting-ssl",
    kind="benchmark",
    family="probe",
    title="Revisiting Self-Supervised Visual Representation Learning",
    year=2019,
    url="https://arxiv.org/abs/1901.09005",
    basis="code",
)
def probe_layers(
    run: Run,
    data: Any,
    test: Any = None,
    *,
    layers: Sequence[str] | None = None,
    limit: int = LIMIT,
    probe: str = "linear",
    recipe: Recipe = MLP,
    test_fraction: float = 0.25,
    seed: int = 0,
    reading: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """A probe after each layer of a run's encoder, beside the same layer of a random one.

    Maps of more than 9,000 numbers are max-pooled to fewer, as in the paper; linear probes are fitted to the end by
    L-BFGS in place of hundreds of epochs of SGD, with the regularisation chosen on a validation part. The probe ``mlp``
    has a hidden layer, is trained by SGD as in the paper, and has the linear one beside it.

    Args:
        data, test: labelled data, as :func:`tacit.evaluate` takes it.
        layers: names of modules of the encoder, and ``embedding`` for what it gives in the end; by default those after
            which the resolution or the width changes, or up to six blocks where all are alike.
        limit: most numbers that a layer gives for a sample.
        probe: ``linear`` or ``mlp``, which takes one class a sample.
        recipe: how the MLP is trained.
        seed: of the split, of the probe's validation part and of the bootstrap.

    Returns:
        for each layer ``value`` (accuracy, R2 or mean average precision), ``low`` and ``high`` (95% bootstrap),
        ``random`` (the value of the random encoder) and ``width`` (numbers a sample); of a linear probe ``l2``, of an
        MLP ``linear`` (the value of the linear probe).

    Raises:
        DataError: for data without labels, or of one class.
        OptionError: for an unknown layer or probe, or labels that it cannot learn.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    train, held = halves(run, data, test, fraction=test_fraction, seed=seed, reading=reading)
    if probe == "linear":
        return of_layers(run, train, held, layers, limit, seed)
    fits("layers-mlp", ("classes",), train.task)
    return of_layers(run, train, held, layers, limit, seed, recipe)


def of_layers(
    run: Run,
    train: Half,
    test: Half,
    layers: Sequence[str] | None = None,
    limit: int = LIMIT,
    seed: int = 0,
    recipe: Recipe | None = None,
) -> dict[str, dict[str, Any]]:
    """:func:`probe_layers` of data that is divided already; with a recipe the probe is an MLP."""
    found: dict[str, dict[str, Any]] = {}
    for kind, network in (("trained", run.encoder), ("random", run.random_encoder())):
        with (
            tapped(run, network, train, layers, limit) as features,
            tapped(run, network, test, list(features), limit) as others,
        ):
            for name, rows in features.items():
                row = of_head(rows, train.y, others[name], test.y, recipe, seed)
                if kind == "trained":
                    found[name] = {**row, "width": rows.shape[1]}
                    if recipe is not None:
                        found[name]["linear"] = scored(rows, train.y, others[name], test.y, seed)["value"]
                else:
                    found[name]["random"] = row["value"]
    return found


def of_head(
    x: np.ndarray, y: Tensor, other: np.ndarray, truth: Tensor, recipe: Recipe | None, seed: int
) -> dict[str, float]:
    """Figures of one layer by the linear probe, or by a head that SGD trains."""
    if recipe is None:
        return scored(x, y, other, truth, seed)
    found = head_probe(x, y, other, truth, recipe, seed)
    low, high = bootstrap_interval(found.predictions == truth.numpy(), seed=seed)
    return {"value": found.accuracy, "low": low, "high": high}


def same_order(found: Mapping[str, Mapping[str, Any]], first: str = "value", second: str = "linear") -> str:
    """A sentence on whether two figures put the layers in the same order."""
    one, other = ([row[key] for row in found.values()] for key in (first, second))
    both = rank_correlation(one, other)
    if both.value is None:
        return f"{len(found)} layers are too few, or too much alike, to compare the orders of the two probes"
    return f"Spearman correlation of the two probes over {len(found)} layers: {both.value:.2f} (p {both.p:.2f})"


__all__ = ["PROBES", "of_layers", "probe_layers", "same_order"]
