"""The measures that ``tacit evaluate`` knows by name and that need a run, its data or its encoder.

To add one, write a function from :class:`tacit.assessment.asked.Asked` to ``{representation: figures}`` and give it a
line in :data:`MEASURES`; the command takes and prints it like those on arrays (:mod:`tacit.evaluation.measures`). Where
the representations are not ``raw``, ``random`` and ``trained`` (layers, numbers of labels, ...), it gets a table of its
own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from tacit.assessment.asked import Asked
from tacit.assessment.detection import of_boxes
from tacit.assessment.feeding import input_notes
from tacit.assessment.few_labels import of_labels
from tacit.assessment.finetune import Tuning, of_tuning
from tacit.assessment.layers import of_layers, same_order
from tacit.assessment.maps import of_maps
from tacit.assessment.pretexts import of_pretext
from tacit.assessment.resizing import of_input
from tacit.assessment.robustness import of_corruptions
from tacit.assessment.spaces import encoders_of
from tacit.errors import DataError
from tacit.evaluation.bootstrap import bootstrap_interval
from tacit.evaluation.few_shot import few_shot
from tacit.evaluation.geometry import alignment, sphere
from tacit.evaluation.label_free import halves_interval, lidar
from tacit.evaluation.manifold import manifold_quality
from tacit.evaluation.measures import Measure, Task, fits
from tacit.evaluation.sgd_probe import MLP

MOST = 2_000
"""Most samples that two views are drawn of."""
LIDAR = (1_000, 10)
"""Most samples that LiDAR draws views of, and how many; the paper takes 50, which costs five times as much."""
MANIFOLD = 500
"""Most samples that are altered."""
WAYS, QUERIES = 5, 15
"""Classes of a few-shot episode, and samples of each to classify, or as many as there are."""


def _alignment(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, network in encoders_of(asked.run).items():
        views = asked.drawn(network, MOST, 2)
        value = alignment(views[:, 0], views[:, 1])
        each = (sphere(views[:, 0], 1) - sphere(views[:, 1], 1)).square().sum(1)
        low, high = bootstrap_interval(each, seed=asked.seed)
        found[name] = {"value": value, "low": low, "high": high, "n": len(views)}
    return found


def _lidar(asked: Asked) -> dict[str, Any]:
    def of(views: Tensor) -> dict[str, Any]:
        def half(index: np.ndarray) -> float:
            return lidar(views[index])

        value = lidar(views)
        low, high = halves_interval(half, len(views), value, seed=asked.seed)
        return {"value": value, "low": low, "high": high, "n": len(views), "views": LIDAR[1]}

    return _where_possible(asked, "LiDAR", lambda network: of(asked.drawn(network, *LIDAR)))


def _where_possible(asked: Asked, title: str, of: Callable[[nn.Module], dict[str, Any]]) -> dict[str, Any]:
    """Figures of each encoder; of one that has none, the reason."""
    found: dict[str, Any] = {}
    for name, network in encoders_of(asked.run).items():
        try:
            found[name] = of(network)
        except DataError as error:
            found[name] = {"value": None, "notes": [f"{name}: no {title}: {error}"]}
    return found


def _manifold(alteration: str) -> Measure[Asked]:
    def run(asked: Asked) -> dict[str, Any]:
        x, shown = asked.pixels(MANIFOLD)

        def of(network: nn.Module) -> dict[str, Any]:
            def encoder(part: Tensor) -> Tensor:
                return network(shown(part))

            return manifold_quality(encoder, x, alteration, seed=asked.seed).as_dict()

        return _where_possible(asked, "manifold quality", of)

    title = "white noise" if alteration == "noise" else "adversarial changes"
    parts = {"total": "  length of the way", "relative_change": "  change from step to step"}
    return Measure(run, f"manifold quality under {title}", tasks=(), parts=parts)


def _layers(asked: Asked) -> dict[str, Any]:
    return of_layers(asked.run, *asked.halves(), seed=asked.seed)


def _layers_mlp(asked: Asked) -> dict[str, Any]:
    rows = of_layers(asked.run, *asked.halves(), seed=asked.seed, recipe=MLP)
    next(iter(rows.values()))["notes"] = [same_order(rows)]
    return rows


def _finetune(asked: Asked) -> dict[str, Any]:
    return of_tuning(asked.run, *asked.halves(), Tuning(), seed=asked.seed)


def _few_labels(asked: Asked) -> dict[str, Any]:
    return _curve(of_labels(asked.run, *asked.halves(), seed=asked.seed))


def _few_maps(kind: str, title: str) -> Measure[Asked]:
    def run(asked: Asked) -> dict[str, Any]:
        return _curve(of_maps(asked.run, *asked.halves(), kind, seed=asked.seed))

    parts = {"scratch": "from scratch", "frozen": "frozen encoder", "utility": "utility"}
    return Measure(run, f"{title}, fine-tuned", tasks=("numbers",), parts=parts)


def _detection(trunk: str, title: str) -> Measure[Asked]:
    def run(asked: Asked) -> dict[str, Any]:
        return of_boxes(asked.run, *asked.halves(), trunk, seed=asked.seed)

    parts = {"map_50_voc07": "  at 11 recalls (VOC 2007)", "map_coco": "  at overlaps of 0.5 to 0.95 (COCO)"}
    return Measure(run, f"detection mAP at 0.5, {title}", tasks=("numbers",), parts=parts)


def _curve(curve: dict[str, Any]) -> dict[str, Any]:
    names = {"value": "trained", "scratch": "scratch", "frozen": "frozen", "utility": "utility", "bound": "bounds"}
    rows: dict[str, Any] = {
        f"{n} labels": {key: curve[name][place] for key, name in names.items()}
        for place, n in enumerate(curve["sizes"])
    }
    for name, row in rows.items():
        if row["bound"] != "exact":
            sort = "at least" if row["bound"] == "at least" else "at most"
            row["notes"] = [
                f"with {name}, pretraining has a utility of {sort} {row['utility']:.2f}: training from scratch was not "
                f"seen to be as {'good' if sort == 'at least' else 'poor'}"
            ]
    return rows


def _corruptions(asked: Asked) -> dict[str, Any]:
    return of_corruptions(asked.run, *asked.halves(), seed=asked.seed)


def _input(asked: Asked) -> dict[str, Any]:
    return of_input(asked.run, *asked.halves(), seed=asked.seed)


def _pretext(task: str, title: str) -> Measure[Asked]:
    return Measure(lambda asked: of_pretext(asked, task), title, tasks=(), form="%")


def _few_shot(shots: int) -> Measure[Asked]:
    def run(asked: Asked) -> dict[str, Any]:
        truth = asked.halves()[1].y
        each = truth.unique(return_counts=True)[1]
        ways, queries = min(WAYS, len(each)), min(QUERIES, int(each.min()) - shots)
        if queries < 1:
            raise DataError(
                f"episodes of {shots} shots need {shots + 1} test samples of each class, and the smallest has "
                f"{int(each.min())}"
            )
        found: dict[str, Any] = {}
        for name, x in asked.test_spaces.items():
            row = few_shot(x, truth, ways=ways, shots=shots, queries=queries, seed=asked.seed)
            found[name] = {
                "value": row.accuracy, "low": row.low, "high": row.high, "ways": ways, "queries": queries
            }  # fmt: skip
        return found

    return Measure(run, f"few-shot accuracy %, {shots} label{'s' * (shots > 1)} a class", form="%")


ANY_LABELS: tuple[Task, ...] = ("classes", "numbers", "several")

MEASURES: dict[str, Measure[Asked]] = {
    "alignment": Measure(_alignment, "alignment of two views (lower is better)", tasks=()),
    "lidar": Measure(_lidar, "LiDAR", tasks=(), form=".2f"),
    "manifold-noise": _manifold("noise"),
    "manifold-pgd": _manifold("pgd"),
    "rotation": _pretext("rotation", "rotations told by a linear probe %"),
    "jigsaw": _pretext("jigsaw", "order of quadrants told by a linear probe %"),
    "few-shot-1": _few_shot(1),
    "few-shot-5": _few_shot(5),
    "finetune": Measure(_finetune, "fine-tuned, from scratch and trained", tasks=ANY_LABELS),
    "corruptions": Measure(
        _corruptions,
        "accuracy % of corrupted images",
        form="%",
        parts={"clean": "  of clean images", "mce": "  mean corruption error, % of raw input's"},
    ),
    "layers": Measure(_layers, "linear probe, trained encoder", tasks=ANY_LABELS, parts={"random": "random encoder"}),
    "layers-mlp": Measure(
        _layers_mlp,
        "MLP probe %, trained encoder",
        form="%",
        parts={"linear": "linear probe %", "random": "MLP, random encoder %"},
    ),
    "few-labels": Measure(
        _few_labels,
        "fine-tuned",
        tasks=ANY_LABELS,
        parts={"scratch": "from scratch", "frozen": "linear probe", "utility": "utility"},
    ),
    "few-maps-classes": _few_maps("classes", "share of pixels of the right class"),
    "few-maps-depth": _few_maps("depth", "share of pixels within 1.1 of their depth"),
    "few-maps-normals": _few_maps("normals", "share of pixels within 11.25° of their normal"),
    "detection": _detection("frozen", "heads on a frozen encoder"),
    "detection-tuned": _detection("trained", "from scratch and fine-tuned"),
    "input": Measure(_input, "5-NN, standardised features %", form="%", parts={"plain": "features as they are %"}),
}
"""What can be asked for by name, in the order of printing."""


def measure(asked: Asked, metrics: Sequence[str], result: dict[str, Any]) -> None:
    """Add those of the metrics that are in :data:`MEASURES` to the result of an evaluation.

    Raises:
        OptionError: for a metric that needs another kind of labels.
    """
    notes = result["warnings"]
    if asked.labelled:
        notes += input_notes(asked.run, *asked.halves())
    for metric in metrics:
        if metric not in MEASURES:
            continue
        tasks = MEASURES[metric].tasks
        if tasks and asked.train.y is None:
            notes.append(f"there are no labels, without which {metric} cannot be measured")
            continue
        fits(metric, tasks, asked.task)
        found = MEASURES[metric].run(asked)
        notes += [note for row in found.values() for note in row.pop("notes", []) if note not in notes]
        result[metric] = found


__all__ = ["MEASURES", "measure"]
