"""The demos: made-up data in, a trained encoder, its quality and a report out."""

from __future__ import annotations

import importlib
import time
from pathlib import Path
from typing import Any

from tacit.console import printer
from tacit.modalities.demo import Demo

ARMS = ("raw", "random", "trained")


def demo(seed: int = 0, out: str | Path | None = None, quiet: bool = False, modality: str = "image") -> dict[str, Any]:
    """Train on made-up data of a kind and test on data that was never trained on.

    Args:
        seed: of data, weights and views.
        out: the run folder.
        quiet: print nothing.
        modality: the kind of data.

    Returns:
        ``knn`` and ``linear`` accuracy in percent, each for ``raw``, ``random`` and ``trained``, or, where there are no
        classes, ``score`` for these and ``metric``, its name; ``report``, the path of the report; ``seconds``;
        ``seed``; ``modality``.

    Raises:
        OptionError: for an unknown kind of data.
    """
    from tacit import api
    from tacit.run import completed

    began = time.perf_counter()
    declared = declaration(modality)
    train, test = declared.data(seed)
    run = completed(api.pretrain(
        train, declared.method, declared.encoder, epochs=declared.epochs, batch_size=declared.batch_size, out=out,
        seed=seed, views=declared.views, modality=modality, quiet=quiet, options=dict(declared.options),
    ))  # fmt: skip
    result = api.evaluate(run, train, test, seed=seed)
    page = api.report(run)
    return {
        **_figures(result),
        "report": str(page.resolve()),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
        "modality": modality,
    }


def declaration(kind: str) -> Demo:
    """What a kind of data declares for its demo."""
    from tacit.modalities import modality

    found: Demo = importlib.import_module(f"{modality(kind).__name__}.demo").DEMO
    return found


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    if "score" in result:
        scores = {arm: round(result["score"][arm]["value"], 4) for arm in ARMS}
        return {"metric": result["metric"], "score": scores}
    return {m: {arm: round(100 * result[m][arm]["accuracy"], 2) for arm in ARMS} for m in ("knn", "linear")}


def show(result: dict[str, Any]) -> None:
    """Print the demo's result as a table."""
    from rich.table import Table

    declared = declaration(result["modality"])
    classes = "score" not in result
    table = Table(
        "accuracy %" if classes else "",
        declared.raw,
        "random encoder",
        "trained encoder",
        box=None,
        header_style="bold",
    )
    if classes:
        for key, title in (("knn", "k-NN"), ("linear", "linear probe")):
            table.add_row(title, *(f"{result[key][arm]:.1f}" for arm in ARMS))
    else:
        table.add_row(result["metric"], *(f"{result['score'][arm]:.3f}" for arm in ARMS))
    console = printer()
    console.print(declared.title)
    console.print(table)
    console.print(f"report: {result['report']}", soft_wrap=True, highlight=False)
