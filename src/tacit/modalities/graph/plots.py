"""Drawings of graphs for the report."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.modalities.drawing import COLOURS, dots
from tacit.modalities.graph.spec import Spec
from tacit.parts.edges import coordinates, line_up
from tacit.parts.graphs import Graphs
from tacit.views.base import View

NODES = 48
"""Nodes of a sample that are drawn, at most."""
STEPS, INK = 24, 16
"""Rounds of the layout, and dots that make an edge."""
GREY = np.array((170, 170, 170), np.uint8)


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: a graph's nodes and edges, or those around a node, which lies in the middle.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    graphs: Graphs = view["x"].to("cpu")
    index, valid, links = line_up(graphs, NODES)
    width = index.shape[1]
    shown = min(width, NODES)
    row, one, other = links[0] // width, links[0] % width, links[1] % width
    near = (one < shown) & (other < shown)
    row, one, other = row[near], one[near], other[near]
    start = coordinates(valid, links, 2)[:, :shown]
    joined = torch.zeros(len(index), shown, shown)
    joined[row, one, other] = 1
    place = _layout(start.numpy(), joined.numpy(), valid[:, :shown].numpy(), graphs.roots is not None)
    canvas = _edges(place, joined.numpy(), side)
    colour = COLOURS[graphs.nodes[index[:, :shown]].argmax(2).numpy() % len(COLOURS)]
    ink = np.full_like(canvas, 255)
    for right, up in ((0, 0), (1, 0), (0, 1), (1, 1)):  # nodes are two pixels wide
        moved = place + np.array((right, up)) / max(side - 1, 1)
        drawn = dots(moved, colour, valid[:, :shown].numpy(), side)
        ink = np.where((drawn != 255).any(3, keepdims=True), drawn, ink)
    return np.where((ink != 255).any(3, keepdims=True), ink, canvas)


def _layout(
    start: NDArray[np.floating], joined: NDArray[np.floating], valid: NDArray[np.bool_], rooted: bool
) -> NDArray[np.floating]:
    """Fruchterman & Reingold 1991: joined nodes attract, all nodes repel each other; ``[B, N, 2]`` in [0, 1]."""
    place = (start - 0.5) * 2
    real = valid[..., None].astype(np.float32)
    both = real * real.transpose(0, 2, 1)
    ideal = 1.5 / np.sqrt(valid.sum(1).clip(1))[:, None, None]
    for step in range(STEPS):
        off = place[:, :, None] - place[:, None]
        far = np.sqrt((off**2).sum(3)) + 1e-3
        force = (ideal**2 / far**2 - joined * far / ideal) * both
        push = (force[..., None] * off).sum(2)
        size = np.sqrt((push**2).sum(2, keepdims=True)) + 1e-6
        place = place + push / size * np.minimum(size, 0.2 * (1 - step / STEPS))
    if rooted:
        place = place - place[:, :1]
    else:
        place = place - (place * real).sum(1, keepdims=True) / real.sum(1, keepdims=True)
    reach = np.abs(place * real).max((1, 2), keepdims=True).clip(1e-6)
    return 0.5 + 0.46 * place / reach


def _edges(place: NDArray[np.floating], joined: NDArray[np.floating], side: int) -> NDArray[np.uint8]:
    sample, one, other = np.nonzero(np.triu(np.maximum(joined, joined.transpose(0, 2, 1)), 1))
    canvas = np.full((len(place), side, side, 3), 255, np.uint8)
    share = np.linspace(0, 1, INK)[:, None]
    for points in np.array_split(np.arange(len(sample)), max(1, len(sample) // 20_000)):
        s, a, b = sample[points], one[points], other[points]
        line = place[s, a][:, None] * (1 - share) + place[s, b][:, None] * share
        pixel = (line.clip(0, 1) * (side - 1)).round().astype(np.int64)
        canvas[s[:, None], side - 1 - pixel[..., 1], pixel[..., 0]] = GREY
    return canvas


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return (
        f"At most {NODES} nodes of a sample are drawn, and the edges between them; a sample that is a node lies in the "
        "middle. A node's colour is that of its largest feature."
    )
