"""The sections of the report that tell how the training went: summary, curves, the watch."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from tacit.reporting import figures
from tacit.reporting.folder import RunFolder
from tacit.reporting.page import Page, Section, missing
from tacit.reporting.scores import cards, gain
from tacit.reporting.words import duration, is_number, plural, sentence


def tone(state: str) -> str:
    """The colour class of a verdict."""
    return "good" if state == "healthy" else "bad" if "collapse" in state else "warn"


def verdict_of(folder: RunFolder) -> dict[str, Any]:
    """The watch's verdict; ``state``, ``text`` and ``since`` are always there."""
    found = folder.summary.get("verdict")
    verdict = found if isinstance(found, dict) else {}
    state = str(verdict.get("state") or "unknown")
    text = sentence(str(verdict.get("text") or f"verdict: {state}"))
    return {"state": state, "text": text, "since": verdict.get("since")}


def headline(folder: RunFolder, nouns: tuple[str, str]) -> str:
    """Title, summary in words and the main figures."""
    verdict = verdict_of(folder)
    method = html.escape(str(folder.part("method").get("name", "unknown method")))
    facts = "".join(
        f'<div class="fact"><dt>{html.escape(title)}</dt>'
        f"<dd>{html.escape(value)}<small>{html.escape(remark)}</small></dd></div>"
        for title, value, remark in [*cards(folder.evaluation), *_course(folder)]
    )
    return (
        '<p class="kicker">tacit · training report</p>\n'
        f"<h1>{method} on {html.escape(_short(folder.part('data'), nouns))}</h1>\n"
        f'<p class="lead">{_story(folder, nouns)}{gain(folder.evaluation)}</p>\n'
        f'<p class="verdict {tone(verdict["state"])}">'
        f"<strong>The watch:</strong> {html.escape(verdict['text'])}</p>\n"
        f'<dl class="facts">{facts}</dl>'
    )


def training(folder: RunFolder, page: Page) -> Section:
    """Loss and its terms, learning rate, gradient norm, speed."""
    metrics = folder.metrics
    if not metrics:
        return Section("training", "Training", missing(folder.why("metrics.csv")))
    positive = "loss" in metrics and bool((metrics["loss"] > 0).all())
    loss = page.chart("chart-loss", "Loss", figures.loss_curve(metrics), log=positive)
    colours = figures.PALETTE
    rate = figures.curve(metrics, "lr", "learning rate", colours[2])
    norm = figures.curve(metrics, "grad_norm", "gradient norm", colours[3])
    pace = figures.curve(folder.speed, "samples_per_second", "samples a second", colours[4])
    small = (
        page.chart("chart-lr", "Learning rate", rate)
        + page.chart("chart-norm", "Gradient norm", norm, log=True)
        + page.chart("chart-speed", "Speed", pace)
    )
    note = "" if folder.speed else missing(folder.why("speed.csv"))
    body = f'<div class="charts">{loss}</div><div class="charts small">{small}</div>{note}'
    return Section("training", "Training", body)


def watch(folder: RunFolder, page: Page) -> Section:
    """Effective rank, spread, alignment and uniformity with the verdict."""
    title = "Rank and spread"
    rows = folder.watch
    if not rows:
        return Section("watch", title, missing(folder.why("watch.csv")), "Watch")
    verdict = verdict_of(folder)
    mood = tone(verdict["state"])
    since = float(verdict["since"]) if mood == "bad" and is_number(verdict["since"]) else None
    shaded = " The time since then is shaded." if since is not None else ""
    charts = page.chart(
        "chart-rank", "Effective rank", figures.watch_curves(rows, "rank", "effective rank", since)
    ) + page.chart("chart-spread", "Spread", figures.watch_curves(rows, "spread", "spread", since))
    for name, colour in (("alignment", figures.PALETTE[2]), ("uniformity", figures.PALETTE[3])):
        charts += page.chart(f"chart-{name}", name.capitalize(), figures.curve(rows, name, name, colour))
    note = (
        "Effective rank says over how many directions the samples spread; spread is 1 when their "
        "directions are as varied as on a sphere and 0 when all samples give the same vector. Either "
        "falling towards its least is collapse: the encoder has stopped telling samples apart. Alignment is "
        "how far apart two views of one sample lie, uniformity how unevenly samples fill the sphere; "
        "lower is better for both, and neither means much alone."
    )
    body = (
        f'<p class="verdict {mood}">{html.escape(verdict["text"])}{shaded}</p>'
        f'<p class="note">{note}</p><div class="charts">{charts}</div>'
    )
    return Section("watch", title, body, "Watch")


def _story(folder: RunFolder, nouns: tuple[str, str]) -> str:
    method, encoder = (
        html.escape(str(folder.part(part).get("name", "of unknown name"))) for part in ("method", "encoder")
    )
    data, summary, paper = folder.part("data"), folder.summary, folder.paper
    if paper is not None and paper.url.startswith(("https://", "http://")):
        cited = f"{html.escape(paper.title)}, {paper.year}"
        method += f' (<a href="{html.escape(paper.url)}" rel="noreferrer">{cited}</a>)'
    what = plural(data["count"], *nouns) if is_number(data.get("count")) else nouns[1]
    place = f" of <code>{html.escape(str(data['path']))}</code>" if data.get("path") else ""
    text = f"{method} trained the encoder {encoder} on {what}{place}"
    if not folder.uses_labels:
        text += ", without labels"
    if is_number(summary.get("steps")):
        epochs = folder.part("training").get("epochs")
        passes = f" ({plural(epochs, 'epoch')} planned)" if is_number(epochs) and epochs else ""
        text += f", for {plural(summary['steps'], 'step')}{passes}"
    if is_number(summary.get("seconds")):
        text += f", in {duration(summary['seconds'])}"
    status = str(summary.get("status") or "not finished")
    return text + ("." if status == "finished" else f". This run is {html.escape(status)}.")


def _course(folder: RunFolder) -> list[tuple[str, str, str]]:
    found = []
    ranks = folder.watch.get("embedding_rank")
    if ranks is not None and np.isfinite(ranks[-1]):
        width = f"of {folder.gallery.embeddings.shape[1]} dimensions" if folder.gallery else ""
        found.append(("effective rank", f"{ranks[-1]:.1f}", width))
    loss = folder.metrics.get("loss")
    if loss is not None:
        found.append(("loss", f"{loss[-1]:.4g}", f"from {loss[0]:.4g}"))
    pace = folder.speed.get("samples_per_second")
    if pace is not None and np.isfinite(pace).any():
        found.append(("samples a second", f"{np.nanmedian(pace):,.0f}", "median of the run"))
    return found


def _short(data: dict[str, Any], nouns: tuple[str, str]) -> str:
    path = str(data.get("path") or "").rstrip("/\\").replace("\\", "/")
    return path.rpartition("/")[2] or (plural(data["count"], *nouns) if is_number(data.get("count")) else nouns[1])
