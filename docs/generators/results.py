"""Stored results of claims and benchmarks as tables."""

from __future__ import annotations

import ast
import json
from statistics import mean, stdev
from typing import Any

from generators.markdown import table
from generators.source import ROOT
from tacit.claims.show import difference_of, mean_of, values_of

CLAIMS = ROOT / "claims" / "results"
FIGURES = ROOT / "docs" / "benchmarks"
SCRIPTS = ROOT / "benchmarks"
PAGES = {"zoo": "methods.md", "matrix": "any-data.md"}
"""Benchmarks whose figures are shown elsewhere."""


def claims() -> list[dict[str, Any]]:
    """The stored results, in order of their files' names."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(CLAIMS.glob("*.json"))]


def claim(row: dict[str, Any]) -> str:
    """One stored result."""
    facts = [
        ("statement", row["statement"]),
        ("data", row["data"]),
        ("metric", f"{row['metric']} ({row['better']} is better)"),
    ]
    for arm in ("baseline", "method"):
        values = ", ".join(values_of(row, arm))
        facts.append((arm, f"{row[arm]['name']}: {values}" if values else row[arm]["name"]))
    if row["difference"] is not None:
        facts.append(("difference", difference_of(row) + f", seeds {', '.join(map(str, row['seeds']))}"))
    facts += [("hardware", hardware(row["hardware"])), ("verdict", f"**{row['verdict']}**")]
    return table(("", ""), facts)


def claim_table(links: dict[str, str]) -> str:
    """All stored results, a line each; ``links`` are the pages of what they are about."""
    rows = []
    for row in claims():
        name = f"[{row['name']}]({links[row['name']]})" if row["name"] in links else row["name"]
        shown = mean_of(row, "baseline"), mean_of(row, "method"), difference_of(row), f"**{row['verdict']}**"
        rows.append((name, row["metric"], *shown, hardware(row["hardware"])))
    if not rows:
        return "No results are stored yet."
    return table(("claim", "metric", "baseline", "method", "difference [95% interval]", "verdict", "hardware"), rows)


def hardware(facts: dict[str, Any]) -> str:
    """A machine in words."""
    gpus = facts.get("gpu")
    return ", ".join(gpus) if gpus else f"{facts.get('cpu', 'CPU')}, {facts.get('cores', '?')} cores"


def benchmarks() -> str:
    """Of each benchmark what it measures, how to run it, and its figures (``NAME.json``, ``NAME-*.json``)."""
    parts = []
    for script in sorted(SCRIPTS.glob("*.py")):
        text = script.read_text(encoding="utf-8")
        doc = ast.get_docstring(ast.parse(text))
        if doc is None or "__main__" not in text:
            continue
        parts += [f"## {script.stem.replace('_', ' ')}", doc.replace("``", "`")]
        if script.stem in PAGES:
            parts.append(f"Its figures have [a page of their own]({PAGES[script.stem]}).")
            continue
        stored = [FIGURES / f"{script.stem}.json", *sorted(FIGURES.glob(f"{script.stem}-*.json"))]
        shown = [path for path in stored if path.exists()]
        parts += [figures(json.loads(path.read_text(encoding="utf-8"))) for path in shown]
        if not shown:
            parts.append("No figures are stored yet.")
    return "\n\n".join(parts) or "There are no benchmarks yet."


def zoo(links: dict[str, str]) -> str:
    """All methods on one data set, a line each: mean and standard deviation over the seeds, the best k-NN first."""
    path = FIGURES / "zoo.json"
    if not path.exists():
        return "No figures are stored yet."
    stored = json.loads(path.read_text(encoding="utf-8"))
    by_method: dict[str, list[dict[str, Any]]] = {}
    for row in stored["rows"]:
        by_method.setdefault(row["method"], []).append(row)
    lines = []
    for name, rows in by_method.items():
        knn, linear = ([row[metric]["trained"] for row in rows] for metric in ("knn", "linear"))
        beats = all(row[m]["trained"] > max(row[m]["raw"], row[m]["random"]) for row in rows for m in ("knn", "linear"))
        others = (
            f"{mean(row['rankme']['trained'] for row in rows):.1f}",
            f"{min(row['seconds'] for row in rows):.0f}",
        )
        linked = f"[{name}]({links[name]})" if name in links else name
        shown = (_spread(knn), _spread(linear), *others, "yes" if beats else "no", len(rows))
        lines.append((mean(knn), (linked, rows[0]["encoder"], *shown)))
    lines.sort(key=lambda line: -line[0])
    yardsticks = []
    for title, of in (("raw pixels", "raw"), ("random encoder, convnet", "random"), ("random encoder, vit", "random")):
        fits = [r for r in stored["rows"] if title.split(", ")[-1] in (r["encoder"], title)]
        if fits:
            values = (_spread([row[metric][of] for row in fits]) for metric in ("knn", "linear"))
            yardsticks.append(
                (f"*{title}*", "", *values, f"{mean(row['rankme'][of] for row in fits):.1f}", "–", "–", "")
            )
    header = ("method", "encoder", "k-NN %", "linear %", "RankMe", "least s", "always beats raw and random", "seeds")
    about = f"{hardware(stored['hardware'])}, {stored['threads']} thread a run."
    return "\n\n".join([about, table(header, [*yardsticks, *(line for _, line in lines)])])


def matrix() -> str:
    """Methods across kinds of data: a table a measure; in each cell the trained encoder and its gain over the better of
    raw input and a random encoder of its shape, means over the seeds."""
    path = FIGURES / "matrix.json"
    if not path.exists():
        return "No figures are stored yet."
    stored = json.loads(path.read_text(encoding="utf-8"))
    rows = stored["rows"]
    methods, kinds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("method", "modality"))
    parts = [f"{hardware(stored['hardware'])}, {stored['threads']} thread a run."]
    for title, measures in (("k-NN accuracy, % (or the kind's score)", ("knn",)), ("Linear probe, %", ("linear",))):
        lines = []
        for kind in kinds:
            own = [row for row in rows if row["modality"] == kind]
            names = [m for m in own[0]["scores"] if m in measures or (m not in ("knn", "linear") and "knn" in measures)]
            if names:
                cells = [_gain([row["scores"][names[0]] for row in own if row["method"] == m]) for m in methods]
                raw = f"{mean([row['scores'][names[0]]['raw'] for row in own]):.1f}"
                lines.append((kind if names[0] in measures else f"{kind} ({names[0]})", raw, *cells))
        parts += [f"**{title}**", table(("", "raw", *methods), lines)]
    return "\n\n".join(parts)


def _gain(cells: list[dict[str, float]]) -> str:
    if not cells:
        return "–"
    gains = [cell["trained"] - max(cell["raw"], cell["random"]) for cell in cells]
    return f"{mean([cell['trained'] for cell in cells]):.1f} ({mean(gains):+.1f})"


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{mean(values):.1f}"


def figures(value: Any, title: str = "") -> str:
    """Any plain data as tables: records side by side, single values as name and value."""
    heading = [f"**{title}**"] if title else []
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return "\n\n".join([*heading, _records([("", row) for row in value])])
    if not isinstance(value, dict):
        return "\n\n".join([*heading, _number(value)])
    inner = {k: v for k, v in value.items() if isinstance(v, dict) or _is_records(v)}
    single = [(_words(k), _number(v)) for k, v in value.items() if k not in inner]
    parts = [*heading, *([table(("", ""), single)] if single else [])]
    alike = [
        (k, v) for k, v in inner.items() if isinstance(v, dict) and not any(isinstance(x, dict) for x in v.values())
    ]
    if len(alike) > 1 and len({tuple(row) for _, row in alike}) == 1:
        parts.append(_records([(_words(k), row) for k, row in alike]))
        inner = {k: v for k, v in inner.items() if k not in dict(alike)}
    return "\n\n".join([*parts, *(figures(v, _words(k)) for k, v in inner.items())])


def _nested(value: dict[str, Any]) -> bool:
    return any(isinstance(inner, dict) for inner in value.values())


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _records(rows: list[tuple[str, dict[str, Any]]]) -> str:
    columns = list(dict.fromkeys(key for _, row in rows for key in row))
    named = any(name for name, _ in rows)
    header = ([""] if named else []) + [_words(c) for c in columns]
    return table(header, [([name] if named else []) + [_number(row.get(c)) for c in columns] for name, row in rows])


def _words(name: str) -> str:
    return str(name).replace("_", " ")


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_number(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{_words(k)} {_number(v)}" for k, v in value.items())
    return str(value)
