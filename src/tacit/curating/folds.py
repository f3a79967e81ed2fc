"""Encoders trained as a run's was, each on the samples of a data set without a fold: what tells memorised ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tacit.console import Bar
from tacit.curating.material import BATCH, Material
from tacit.curating.store import Store
from tacit.data import Batch
from tacit.errors import OptionError
from tacit.evaluation.memorisation import scatter_of_views
from tacit.launch import launch, options_of
from tacit.methods.base import embed
from tacit.parts.draws import Draws
from tacit.run import Run, completed, through
from tacit.sources import Part

VIEWS = 10
"""Random views of a sample whose distance to it is taken."""
ELSEWHERE = ("training.devices", "training.nodes", "training.strategy", "training.logger")
"""Settings of a run that are not taken over: these trainings are of one process."""


def scatters(work: Material, folds: int, given: dict[str, Any]) -> Callable[[int, np.ndarray], np.ndarray]:
    """A function ``(fold, index) -> [N]`` for :func:`tacit.curation.memorised`, which trains as ``work.run`` was.

    What is done is saved beside the output file: a fold that was measured is not trained again, and one that was
    interrupted goes on from its last checkpoint.

    Args:
        work: of data that a run embeds.
        folds: how many there will be.
        given: what else the outcome depends on.

    Raises:
        OptionError: for a run whose encoder was the user's own module, or whose method needs labels that the data
            does not have.
    """
    run, source = work.run, work.source
    assert run is not None
    assert source is not None
    if run.config["encoder"]["name"] == "custom":
        raise OptionError(f"{run.folder} has an encoder of your own; memorised trains anew and needs a named one")
    store = Store(work.folder / "scatters", [work.key(source), run.config, given])
    store.begin(len(source))
    options = {name: value for name, value in options_of(run.config).items() if name not in ELSEWHERE}
    options = {name: value for name, value in options.items() if not name.startswith("data.")}
    options["training.batch_size"] = min(options["training.batch_size"], len(source) - -(-len(source) // folds))

    def scatter(fold: int, index: np.ndarray) -> np.ndarray:
        if fold >= store.done:
            folder = work.folder / f"fold{fold}-{store.key}"
            trained = _trained(folder, run, Part(source, torch.from_numpy(index)), options, work.seed)
            with Bar(f"fold {fold + 1} of {folds}", total=len(source), quiet=work.quiet) as bar:
                store.put(fold, _scatter(trained, work, bar)[None])
            shutil.rmtree(folder)
        return np.asarray(store.rows()[fold], np.float64)

    return scatter


def _trained(folder: Path, run: Run, part: Part, options: dict[str, Any], seed: int) -> Run:
    resume = (folder / "config.json").exists()
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)  # killed before the first file was written
    elif Run(folder).summary.get("status") == "finished":
        return Run(folder)
    config = run.config
    made = launch(
        "method", part, config["method"]["name"], config["encoder"]["name"], options=options,
        views=config["views"]["recipe"], modality=None, seed=seed, out=folder, resume=resume, continue_from=None,
        quiet=True,
    )  # fmt: skip
    return completed(made)


def _scatter(run: Run, work: Material, bar: Bar) -> np.ndarray:
    assert work.source is not None
    encoder, plain, views = run.encoder, run.evaluation_view(), run.training_views()

    def of(batch: Batch) -> np.ndarray:
        start, device = int(batch["index"][0]), batch["index"].device
        drawn = (views(batch, Draws.seeded(work.seed, v, start, device=device))[0] for v in range(VIEWS))
        spread = torch.stack([embed(encoder, view) for view in drawn], 1)
        return scatter_of_views(embed(encoder, plain(batch)[0]), spread)

    rows = []
    for found in through(of, work.source.batches(BATCH), encoder):
        rows.append(found)
        bar.at(sum(map(len, rows)))
    return np.concatenate(rows).astype(np.float32)
