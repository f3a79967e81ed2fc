"""The demo: scattered digits in, a trained encoder, its quality and a report out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tacit.console import printer

METHOD, EPOCHS, BATCH = "simclr", 45, 128
TRAIN, TEST = 4000, 2000
DIGITS: dict[str, Any] = {"clutter": 16, "scenes": 64, "scale": (2.4, 3.2)}
OPTIONS = {
    "lr": 6e-3,
    "temperature": 0.1,
    # digits are not to be mirrored, and clutter that changes from view to view cannot stand for the digit
    "views.flip": 0.0,
    "views.turn": 15.0,
    "views.overlay": 8,
    "views.crop_scale": (0.4, 1.0),
}


def demo(seed: int = 0, out: str | Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Train on scattered digits and test on digits of writers that were never trained on.

    Args:
        seed: of data, weights and views.
        out: the run folder.
        quiet: print nothing.

    Returns:
        ``knn`` and ``linear`` accuracy in percent, each for ``raw``, ``random`` and ``trained``; ``report``, the path
        of the report; ``seconds``; ``seed``.
    """
    from tacit import api
    from tacit.modalities.image.synthetic import scattered_digits

    began = time.perf_counter()
    parts = (("train", TRAIN), ("test", TEST))
    train, test = (scattered_digits(part, count=count, seed=seed, **DIGITS) for part, count in parts)
    run = api.pretrain(
        train[0], METHOD, epochs=EPOCHS, batch_size=BATCH, out=out, seed=seed, quiet=quiet, options=OPTIONS
    )
    result = api.evaluate(run, train, test, seed=seed)
    page = api.report(run)
    return {
        **{m: {name: round(100 * row["accuracy"], 2) for name, row in result[m].items()} for m in ("knn", "linear")},
        "report": str(page.resolve()),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
    }


def show(result: dict[str, Any]) -> None:
    """Print the demo's result as a table."""
    from rich.table import Table

    table = Table("accuracy %", "raw pixels", "random encoder", "trained encoder", box=None, header_style="bold")
    for key, title in (("knn", "k-NN"), ("linear", "linear probe")):
        table.add_row(title, *(f"{result[key][name]:.1f}" for name in ("raw", "random", "trained")))
    console = printer()
    console.print("Scattered digits: test digits come from writers that were never trained on.")
    console.print(table)
    console.print(f"report: {result['report']}", soft_wrap=True, highlight=False)
