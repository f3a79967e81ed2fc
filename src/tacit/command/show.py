"""How the answers of verbs are printed for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from tacit.console import printer

AVERAGED = "mean average precision"
"""What low-shot samples are always told in."""
NAMES = {"raw": "raw input", "random": "random encoder", "trained": "trained encoder"}


def show_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a plain table."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*row)
    printer().print(table)


def show_adaptation(result: dict[str, Any]) -> None:
    """Print the accuracy of a classifier on test data."""
    show_rows(("predicted by", "accuracy %"), [(name, _interval(row)) for name, row in result["accuracy"].items()])


def show_export(result: dict[str, Any]) -> None:
    """Print how well an exported encoder agrees with the run's, and where it is."""
    console = printer()
    console.print(
        f"embeddings of {result['samples']} samples differ by at most {result['difference']:.2g} "
        f"({result['relative']:.2g} of the largest)",
        highlight=False,
    )
    for path in (result["path"], result["card"]):
        console.print(path, markup=False, highlight=False, soft_wrap=True)


def show_benchmark(result: dict[str, Any]) -> None:
    """Print a benchmark: a line a task, one for the mean, and what few labels give."""
    table = _table("task", "metric", *NAMES.values(), "tap")
    for task, row in result["tasks"].items():
        best = row["best"]
        values = (f"{best[name]['value']:.3f}" for name in NAMES)
        table.add_row(task, row["metric"], *values, best["trained"]["tap"])
    table.add_row("mean", "", *(f"{result['aggregate'][name]:.3f}" for name in NAMES), "")
    tables = [table]
    for task, row in result["tasks"].items():
        shots = list(row["low_shot"].get("trained", ()))
        if shots:
            other = "" if row["metric"] == AVERAGED else f" ({AVERAGED})"
            low = _table(f"{task}: labels a class{other}", *map(str, shots))
            for name, title in NAMES.items():
                found = row["low_shot"][name]
                low.add_row(title, *(f"{found[k]['mean']:.3f} ± {found[k]['std']:.3f}" for k in shots))
            tables.append(low)
    console = printer()
    console.print(*tables, sep="\n")
    for warning in result["warnings"]:
        console.print(f"note: {warning}", markup=False)


def show_evaluation(result: dict[str, Any]) -> None:
    """Print an evaluation as a table: one row a measure, one column a representation.

    A measure of other things than raw input, random and trained encoder has a table of its own.
    """
    from tacit.api import measures

    tables = [_table("", *NAMES.values())]
    for key, measure in measures().items():
        rows = result.get(key)
        if rows is None:
            continue
        title = measure.title.format(**result)
        if set(rows) <= set(NAMES):
            tables[0].add_row(title, *(measure.cell(rows.get(name)) for name in NAMES))
            for part, below in measure.parts.items():
                tables[0].add_row(below, *(measure.cell(rows.get(name), part) for name in NAMES))
        else:
            own = _table("", title, *measure.parts.values())
            for name, row in rows.items():
                own.add_row(str(name), measure.cell(row), *(measure.cell(row, part) for part in measure.parts))
            tables.append(own)
    tables[0].add_row("RankMe", *(f"{result['rankme'][name]:.1f}" for name in NAMES))
    console = printer()
    console.print(*tables, sep="\n")
    for warning in result.get("warnings", []):
        console.print(f"note: {warning}", markup=False)


def _interval(row: dict[str, float]) -> str:
    return f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")
