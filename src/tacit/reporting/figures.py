"""The charts of the report as plain Plotly figures; the page's script adds the colours of the theme."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.reporting.atlas import Atlas
from tacit.reporting.folder import Columns
from tacit.reporting.gallery import Gallery

Figure = dict[str, Any]

PALETTE = ("#1A80C4", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
"""Okabe & Ito's colours for colour-blind readers that show on white and on black, the blue lifted."""
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "x")
OTHER = "#8A8F98"
NAMED = 24
"""Classes with a colour and symbol of their own on the map; the rest share one."""
POINTS = 1500
"""Points a line is drawn with, at most."""
ARMS = {"raw": "raw input", "random": "random encoder", "trained": "trained encoder"}


def plain(text: object) -> str:
    """Text as Plotly shows it letter by letter: its labels otherwise read a subset of HTML."""
    return html.escape(str(text), quote=False)


def numbers(values: Sequence[float] | NDArray[Any]) -> list[float | None]:
    """JSON numbers with six digits; what is not finite becomes a gap."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=np.float64)]


def thin(y: NDArray[np.float64], points: int = POINTS) -> NDArray[np.int64]:
    """Positions that draw the same line with fewer points: the lowest and the highest of each stretch."""
    if len(y) <= points:
        return np.arange(len(y))
    kept = [0, len(y) - 1]
    edges = np.linspace(0, len(y), points // 2 + 1).astype(np.int64)
    for start, stop in itertools.pairwise(edges):
        stretch = y[start:stop]
        if np.isfinite(stretch).any():
            kept += [start + int(np.nanargmin(stretch)), start + int(np.nanargmax(stretch))]
        else:
            kept.append(int(start))
    return np.unique(kept)


def running_mean(y: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Centred mean over ``width`` neighbours, fewer at the ends; gaps stay gaps."""
    known = np.isfinite(y)
    sums = np.convolve(np.where(known, y, 0), np.ones(width), "same")
    counts = np.convolve(known.astype(float), np.ones(width), "same")
    return np.where(known, sums / np.maximum(counts, 1), np.nan)


def line(x: NDArray[np.float64], y: NDArray[np.float64], name: str, colour: str, **style: Any) -> Figure:
    """One line of a chart."""
    at = thin(y)
    mode = "lines+markers" if len(at) < 30 else "lines"
    return {
        "type": "scatter",
        "mode": mode,
        "x": numbers(x[at]),
        "y": numbers(y[at]),
        "name": plain(name),
        "line": {"color": colour, "width": 2},
        "marker": {"size": 6},
        **style,
    }


def figure(data: list[Figure], y: str, x: str = "step", **layout: Any) -> Figure:
    """A chart with its axes' titles."""
    base = {
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
        "hovermode": "x unified",
        "showlegend": len(data) > 1,
    }
    return {"data": data, "layout": {**base, **layout}}


def loss_curve(metrics: Columns) -> Figure | None:
    """The loss, its running mean where the run is long, and every named term."""
    if "loss" not in metrics:
        return None
    step, loss = metrics["step"], metrics["loss"]
    data = []
    if len(loss) >= 60:
        faint = {"opacity": 0.45, "line": {"color": PALETTE[0], "width": 1}}
        data.append(line(step, loss, "loss, each row", PALETTE[0], **faint))
        data.append(line(step, running_mean(loss, max(5, len(loss) // 40)), "loss, running mean", PALETTE[0]))
    else:
        data.append(line(step, loss, "loss", PALETTE[0]))
    shared = {"step", "epoch", "lr", "loss", "grad_norm"}
    terms = [name for name in metrics if name not in shared and np.isfinite(metrics[name]).any()]
    for i, name in enumerate(terms):
        data.append(
            line(
                step,
                metrics[name],
                name,
                PALETTE[(i + 1) % 6],
                line={"color": PALETTE[(i + 1) % 6], "width": 1.5},
            )
        )
    return figure(data, "loss")


def curve(columns: Columns, name: str, title: str, colour: str) -> Figure | None:
    """One column over the steps."""
    if name not in columns or not np.isfinite(columns[name]).any():
        return None
    return figure([line(columns["step"], columns[name], title, colour)], title)


def watch_curves(watch: Columns, endings: str, title: str, since: float | None) -> Figure | None:
    """Embedding and projection over the steps; what lies after ``since`` (a collapse) is shaded."""
    data = [
        line(watch["step"], watch[f"{what}_{endings}"], what, PALETTE[i], mode="lines+markers")
        for i, what in enumerate(("embedding", "projection"))
        if f"{what}_{endings}" in watch
    ]
    if not data:
        return None
    shapes = []
    if since is not None:
        last = max(since, float(np.nanmax(watch["step"])))
        box = {"type": "rect", "xref": "x", "x0": since, "x1": last, "yref": "paper", "y0": 0, "y1": 1}
        wash = {"fillcolor": PALETTE[5], "opacity": 0.14, "line": {"width": 0}, "layer": "below"}
        shapes.append({**box, **wash})
    axis = {"title": {"text": title}, "rangemode": "tozero"}
    return figure(data, title, shapes=shapes, yaxis=axis, showlegend=True)


def accuracy_bars(evaluation: dict[str, Any], titles: dict[str, str]) -> Figure | None:
    """k-NN and linear accuracy of raw input, random and trained encoder, with their intervals."""
    measures = [m for m in titles if isinstance(evaluation.get(m), dict)]
    data = []
    for arm, colour in zip(ARMS, (OTHER, PALETTE[4], PALETTE[0]), strict=True):
        rows = [(titles[m], evaluation[m][arm]) for m in measures if evaluation[m].get(arm)]
        if not rows:
            continue
        height = [float(row["accuracy"]) for _, row in rows]
        bars: Figure = {
            "type": "bar",
            "name": ARMS[arm],
            "x": [title for title, _ in rows],
            "y": numbers(height),
            "marker": {"color": colour},
            "hovertemplate": "%{y:.1%}",
        }
        if all("low" in row and "high" in row for _, row in rows):
            bars["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": numbers([row["high"] - row["accuracy"] for _, row in rows]),
                "arrayminus": numbers([row["accuracy"] - row["low"] for _, row in rows]),
                "thickness": 1.5,
                "width": 5,
            }
        data.append(bars)
    if not data:
        return None
    axis = {"title": {"text": "accuracy"}, "range": [0, 1.02], "tickformat": ".0%"}
    return figure(data, "accuracy", "", barmode="group", yaxis=axis, xaxis={"showgrid": False}, bargap=0.35)


def atlas_figure(atlas: Atlas, groups: NDArray[np.int64], names: dict[int, str]) -> Figure:
    """The map: one trace a group, so that the legend switches groups off and on.

    Args:
        groups: int64 ``[p]``, the group of each point.
        names: what the legend calls each group.
    """
    values, counts = np.unique(groups, return_counts=True)
    known = sorted((-int(n), int(v)) for v, n in zip(values, counts, strict=True) if v >= 0)
    named = sorted(value for _, value in known[:NAMED])
    rest = [int(v) for v in values if int(v) not in named]
    traces = [([value], i, names[value]) for i, value in enumerate(named)]
    if rest:
        traces.append((rest, -1, "unknown" if rest == [-1] else f"others ({len(rest)} groups)"))
    data = []
    for members, i, name in traces:
        at = np.flatnonzero(np.isin(groups, members))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": plain(name),
                "x": numbers(atlas.xy[at, 0]),
                "y": numbers(atlas.xy[at, 1]),
                "customdata": atlas.index[at].tolist(),
                "hoverinfo": "none",
                "marker": {
                    "color": OTHER if i < 0 else PALETTE[i % len(PALETTE)],
                    "symbol": SYMBOLS[0 if i < 0 else i // len(PALETTE) % len(SYMBOLS)],
                    "size": 6 if len(atlas.xy) > 500 else 8,
                    "opacity": 0.85,
                    "line": {"width": 0.5, "color": "rgba(128,128,128,0.6)"},
                },
            }
        )
    axis = {"showticklabels": False, "zeroline": False, "showgrid": False, "title": {"text": ""}}
    return figure(
        data, "", "", hovermode="closest", showlegend=True, xaxis=axis,
        yaxis={**axis, "scaleanchor": "x"}, dragmode="pan",
    )  # fmt: skip


def group_names(gallery: Gallery, groups: NDArray[np.int64], labelled: bool) -> dict[int, str]:
    """What the legend calls each group: its class, or its cluster counted from 1."""
    if not labelled:
        return {int(v): f"cluster {v + 1}" for v in np.unique(groups)}
    first = {int(label): int(np.flatnonzero(gallery.labels == label)[0]) for label in np.unique(groups) if label >= 0}
    return {label: gallery.class_name(at) or "" for label, at in first.items()}
