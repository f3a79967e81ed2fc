"""``tacit tune-views``: a policy of views for a data set, found without labels (SelfAugment, Reed et al. 2021)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit import api
from tacit.assessment.pretexts import TASKS, embeddings_of, pretext_score, variants_of
from tacit.console import Bar, say
from tacit.data import Source, moved
from tacit.errors import DataError, OptionError, RunError, unknown
from tacit.evaluation.pretext import Head, pretext_head
from tacit.files import read_json, write_json
from tacit.modalities import open_source
from tacit.modalities.image.operations import OPERATIONS
from tacit.modalities.image.policy import PolicyViews
from tacit.parts.draws import Draws, mix
from tacit.run import Run, completed, fastest
from tacit.sources import Part
from tacit.views.base import Views

OBJECTIVES = ("min-max", "min-rotation", "min-contrast", "max-contrast")
METHOD = "moco-v2"
WHOLE: dict[str, Any] = {"crop_scale": (1.0, 1.0), "crop_ratio": (0.01, 100.0), "flip": 0.0, "policy": []}
CANDIDATES: dict[str, dict[str, Any]] = {
    "crop": {"policy": []},
    "jitter": WHOLE | {"jitter": 0.8},
    "gray": WHOLE | {"gray": 0.5},
    "flip": WHOLE | {"flip": 0.5},
    **{name: WHOLE | {"policy": [[[name, 1.0, m]] for m in (0.1, 0.3, 0.7, 0.9)]} for name in OPERATIONS},
}
"""Single transformations that the views before the policy can be, as options of the recipe ``policy``."""
SEARCHED = 2000
"""Held-out samples that a policy is judged on, at most."""


def tune_views(
    data: Any,
    out: str | Path,
    *,
    objective: str = "min-max",
    base: str = "crop",
    probe: str = "rotation",
    folds: int = 3,
    trials: int = 60,
    top: int = 5,
    repeats: int = 2,
    epochs: int = 20,
    encoder: str | None = None,
    seed: int = 0,
    resume: bool = False,
    quiet: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Search views for images without labels, and write a file that ``tacit pretrain --views`` takes.

    An encoder is trained by MoCo v2 on all but one fold of the data, with simple views, and a linear classifier of
    rotations on top of it. Both stay fixed while random policies of five sub-policies of two operations change the
    images of the fold that was left out: each policy has a rotation loss (is there still to see what the images show?)
    and a contrastive loss (how hard is it to know an image again?). The best policies of all folds together are the
    result. The paper searches by Bayesian optimisation; here it is random search, each trial a function of the seed.

    Args:
        data: images; labels are not looked at.
        out: the folder for ``views.json``, the trials and the runs.
        objective: ``min-max`` (low rotation and high contrastive loss, each divided by its mean; the paper's choice),
            ``min-rotation``, ``min-contrast`` or ``max-contrast``.
        base: what is done to images besides the policy: ``crop`` (and flip), any other of :data:`CANDIDATES`, or
            ``search``: a training with each, of which the rotation probe chooses.
        probe: ``rotation``, or ``jigsaw`` for data that look the same however they are turned.
        folds: at least 2.
        trials: policies tried in each fold and repeat.
        top: of which so many are kept.
        repeats: searches in each fold.
        epochs: of each training.
        encoder: of the trainings; automatic.
        seed: of folds, trainings and policies.
        resume: go on with the search in ``out``; finished trainings and trials are not done again.
        quiet: print nothing.
        options: of the trainings, as for :func:`tacit.pretrain` (``batch_size``, ``lr``, ``encoder.width``, ...).

    Returns:
        the path of ``views.json``.

    Raises:
        OptionError: for an impossible option, or ones other than those of the search that is resumed.
        DataError: for data that are no square images, or fewer than 8 a fold.
        RunError: if ``out`` holds a search and ``resume`` is not set.
    """
    for what, value, known in (("objective", objective, OBJECTIVES), ("probe", probe, TASKS)):
        if value not in known:
            raise unknown(what, value, known)
    if base not in (*CANDIDATES, "search"):
        raise unknown("base", base, (*CANDIDATES, "search"))
    for name, number, least in (("folds", folds, 2), ("trials", trials, 1), ("top", top, 1), ("repeats", repeats, 1),
                                ("epochs", epochs, 1)):  # fmt: skip
        if number < least:
            raise OptionError(f"{name} must be at least {least}, not {number}")
    if top > trials:
        raise OptionError(f"top must be at most {trials}, the number of trials, not {top}")
    given = dict(options or {})
    reading = {key.removeprefix("data."): given.pop(key) for key in [*given] if key.startswith("data.")}
    source = open_source(data, "image", progress=not quiet, **reading)
    if len(source) < 8 * folds:
        raise DataError(f"{len(source)} images are too few for {folds} folds; give at least {8 * folds}")
    folder = Path(out)
    asked = {
        "objective": objective, "base": base, "probe": probe, "folds": folds, "trials": trials, "top": top,
        "repeats": repeats, "epochs": epochs, "encoder": encoder, "seed": seed, "options": given, "reading": reading,
        "data": source.describe(),
    }  # fmt: skip
    _claim(folder, json.loads(json.dumps(asked, default=str)), resume)
    search = _Search(source, folder, probe, epochs, encoder, seed, given, quiet)
    chosen = search.base() if base == "search" else base
    order = torch.randperm(len(source), generator=torch.Generator().manual_seed(mix(seed, 0xF01D)))
    rows: list[dict[str, Any]] = []
    for fold in range(folds):
        held = order[fold::folds].sort().values
        rest = torch.cat([order[other::folds] for other in range(folds) if other != fold]).sort().values
        rows += search.fold(fold, rest, held, CANDIDATES[chosen], trials, repeats)
    best = select(rows, objective, top)
    made = {
        "recipe": "policy",
        "options": joined(CANDIDATES[chosen], [part for row in best for part in row["policy"]]),
        "objective": objective,
        "base": chosen,
        "policies": [{key: row[key] for key in ("fold", "repeat", "trial", "rotation", "contrast")} for row in best],
        "mean_rotation": statistics.fmean(row["rotation"] for row in rows),
        "mean_contrast": statistics.fmean(row["contrast"] for row in rows),
    }
    write_json(folder / "views.json", made)
    return folder / "views.json"


def select(rows: list[dict[str, Any]], objective: str, top: int) -> list[dict[str, Any]]:
    """The ``top`` policies of each fold and repeat by an objective, best first.

    With r and c a policy's rotation and contrastive loss, and R and C their means over all policies, the objectives to
    minimise are ``r / R - c / C`` (min-max), ``r``, ``c`` and ``-c``.
    """
    mean = [statistics.fmean(row[name] for row in rows) for name in ("rotation", "contrast")]

    def cost(row: Mapping[str, Any]) -> float:
        r, c = row["rotation"], row["contrast"]
        return {
            "min-max": r / max(mean[0], 1e-12) - c / max(mean[1], 1e-12),
            "min-rotation": r,
            "min-contrast": c,
            "max-contrast": -c,
        }[objective]

    best = []
    for part in sorted({(row["fold"], row["repeat"]) for row in rows}):
        best += sorted((row for row in rows if (row["fold"], row["repeat"]) == part), key=cost)[:top]
    return sorted(best, key=cost)


def joined(views: dict[str, Any], policy: list[list[list[Any]]]) -> dict[str, Any]:
    """Options of the recipe ``policy`` with another policy done after their own."""
    return views | {"policy": [[*done, *part] for done in (views["policy"] or [[]]) for part in policy]}


def random_policy(*numbers: int, parts: int = 5, steps: int = 2) -> list[list[list[Any]]]:
    """Sub-policies of operations, probabilities and magnitudes, all uniform; a function of the numbers."""
    random = np.random.default_rng([number & 0xFFFFFFFF for number in numbers])
    names = list(OPERATIONS)
    return [
        [
            [names[random.integers(len(names))], round(random.uniform(), 4), round(random.uniform(), 4)]
            for _ in range(steps)
        ]
        for _ in range(parts)
    ]


def _claim(folder: Path, asked: dict[str, Any], resume: bool) -> None:
    """Make the folder, or check that the search in it is this one.

    Raises:
        RunError, OptionError: as :func:`tune_views`.
    """
    path = folder / "search.json"
    if path.exists():
        if not resume:
            raise RunError(f"{folder} holds a search; add --resume to go on with it, or choose another folder")
        stored = read_json(path)
        for key in asked:
            if key != "data" and stored.get(key) != asked[key]:
                raise OptionError(f"{folder} was begun with {key}={stored.get(key)!r}, not {asked[key]!r}")
        if stored["data"].get("count") != asked["data"].get("count"):
            raise OptionError(f"{folder} was begun with other data")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, asked)


class _Search:
    """Trainings and trials of one folder."""

    def __init__(
        self, source: Source, folder: Path, probe: str, epochs: int, encoder: str | None, seed: int,
        options: dict[str, Any], quiet: bool,
    ) -> None:  # fmt: skip
        self.source, self.folder, self.probe, self.epochs = source, folder, probe, epochs
        self.encoder, self.seed, self.options, self.quiet = encoder, seed, options, quiet

    def train(self, name: str, data: Source, views: dict[str, Any]) -> Run:
        """The run of that name, trained or continued as far as it was not."""
        out = self.folder / name
        options = self.options | {f"views.{key}": value for key, value in views.items()}
        begun = (out / "config.json").exists()
        if begun and Run(out).summary.get("status") == "finished":
            return Run(out)
        run = api.pretrain(
            data, METHOD, self.encoder, epochs=self.epochs, out=out, seed=self.seed, views="policy", resume=begun,
            quiet=self.quiet, options=options,
        )  # fmt: skip
        return completed(run)

    def base(self) -> str:
        """The single transformation whose run has the best probe."""
        scores: dict[str, float] = {}
        for name, views in CANDIDATES.items():
            run = self.train(f"base-{name}", self.source, views)
            scores[name] = pretext_score(run, self.source, task=self.probe, seed=self.seed)
            say(f"{name}: {self.probe} probe {100 * scores[name]:.1f}%", self.quiet)
        write_json(self.folder / "base.json", scores)
        return max(scores, key=lambda name: scores[name])

    def fold(
        self, fold: int, rest: Tensor, held: Tensor, views: dict[str, Any], trials: int, repeats: int
    ) -> list[dict[str, Any]]:
        """All trials of a fold; each is stored as soon as it is done."""
        run = self.train(f"fold-{fold}", Part(self.source, rest), views)
        path = self.folder / f"trials-{fold}.json"
        rows: list[dict[str, Any]] = read_json(path) if path.exists() else []
        wanted = [(repeat, trial) for repeat in range(repeats) for trial in range(trials)]
        if len(rows) == len(wanted):
            return rows
        head = pretext_head(variants_of(run, Part(self.source, rest), self.probe))
        batch, method = self.source.batch(held[:SEARCHED]), run.method.to(fastest())
        with Bar(f"policies of fold {fold + 1}", total=len(wanted), quiet=self.quiet) as bar:
            for repeat, trial in wanted[len(rows) :]:
                policy = random_policy(self.seed, fold, repeat, trial)
                made = PolicyViews(run.spec, **joined(views, policy))
                rotation, contrast = losses(method, head, batch, made, self.probe, mix(self.seed, fold))
                row = {"fold": fold, "repeat": repeat, "trial": trial, "rotation": rotation, "contrast": contrast}
                rows.append(row | {"policy": policy})
                write_json(path, rows)
                bar.at(len(rows))
        return rows


def losses(method: Any, head: Head, batch: dict[str, Any], views: Views, probe: str, seed: int) -> tuple[float, float]:
    """Rotation and contrastive loss (nats) of views, by a MoCo v2 and a classifier that stay as they are.

    The keys of the contrastive loss are those that the queue held at the end of the training.

    Args:
        method: a trained ``moco-v2``.
        head: a classifier of the probe's variants on the embeddings of its encoder.
        batch: images that it was not trained on.
        views: gives two.
        seed: of the views.
    """
    device = fastest()
    variants, values, counts = [], [], []
    for start in range(0, len(batch["x"]), 256):
        part = {k: v[start : start + 256] for k, v in batch.items() if isinstance(v, Tensor)}
        first, second = views(moved(part, device), Draws.seeded(seed, start, device=device))
        with torch.inference_mode():
            (key,), (query,), (queue,) = method.keys(second), method.project(first), method.queue.read()
            values.append(float(method.objective(query, key, queue)))
        counts.append(len(part["x"]))
        variants.append(embeddings_of(method.encoder, first["x"], probe))
    return head.loss(torch.cat(variants)), float(np.average(values, weights=counts))
