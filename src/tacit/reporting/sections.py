"""The sections of the report that rest on numbers: summary, evaluation, training, watch, settings."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from tacit.reporting import figures
from tacit.reporting.folder import RunFolder
from tacit.reporting.page import Page, Section
from tacit.reporting.words import command, duration, percent, plural, rows_of, sentence

ACCURACIES = {"knn": "k-NN accuracy", "linear": "linear probe accuracy"}
LISTED = 200
"""Skipped files that are listed by name."""


def missing(reason: str) -> str:
    """The line that stands in the place of a section's content."""
    return f'<p class="missing">Left out: {html.escape(reason)}.</p>'


def tone(state: str) -> str:
    """The colour class of a verdict."""
    return "good" if state == "healthy" else "bad" if "collapse" in state else "warn"


def verdict_of(folder: RunFolder) -> dict[str, Any]:
    """The watch's verdict; ``state`` and ``text`` are always there."""
    verdict = folder.summary.get("verdict")
    verdict = verdict if isinstance(verdict, dict) else {}
    return {
        "since": None,
        **verdict,
        "state": str(verdict.get("state") or "unknown"),
        "text": str(verdict.get("text") or ""),
    }


def headline(folder: RunFolder, nouns: tuple[str, str]) -> str:
    """Title, summary in words and the main figures."""
    method, encoder = (html.escape(str(folder.part(p).get("name", "unknown"))) for p in ("method", "encoder"))
    data, summary = folder.part("data"), folder.summary
    paper = folder.paper
    if paper is not None and paper.url.startswith(("https://", "http://")):
        cited = f"{html.escape(paper.title)}, {paper.year}"
        method_words = f'{method} (<a href="{html.escape(paper.url)}" rel="noreferrer">{cited}</a>)'
    else:
        method_words = method
    what = plural(data["count"], *nouns) if _number(data.get("count")) else nouns[1]
    place = f" of <code>{html.escape(str(data['path']))}</code>" if data.get("path") else ""
    parts = [f"{method_words} trained the encoder {encoder} on {what}{place}, without labels"]
    if _number(summary.get("steps")):
        parts.append(f" for {plural(summary['steps'], 'step')}{_epochs(folder)}")
    if _number(summary.get("seconds")):
        parts.append(f" in {duration(summary['seconds'])}")
    text = "".join(parts) + "."
    status = str(summary.get("status") or "not finished")
    if status != "finished":
        text += f" The run is {html.escape(status)}."
    verdict = verdict_of(folder)
    said = html.escape(sentence(verdict["text"] or verdict["state"]))
    gain = _gain(folder.evaluation)
    return (
        '<p class="kicker">tacit · training report</p>\n'
        f"<h1>{method} on {html.escape(_short(data, nouns))}</h1>\n"
        f'<p class="lead">{text}{gain}</p>\n'
        f'<p class="verdict {tone(verdict["state"])}"><strong>The watch:</strong> {said}</p>\n'
        f'<dl class="facts">{_facts(folder)}</dl>'
    )


def evaluation(folder: RunFolder, page: Page) -> Section:
    """k-NN, linear probe and RankMe for raw input, random and trained encoder."""
    rows = folder.evaluation
    if not rows:
        return Section(
            "evaluation", "Evaluation", missing(folder.problems.get("evaluation.json", "it is empty"))
        )
    arms = [
        arm
        for arm in figures.ARMS
        if any(isinstance(rows.get(m), dict) and arm in rows[m] for m in (*ACCURACIES, "rankme"))
    ]
    lines = []
    for key, title in ACCURACIES.items():
        if isinstance(rows.get(key), dict):
            best = max(
                (a for a in arms if a in rows[key]), key=lambda a: rows[key][a]["accuracy"], default=None
            )
            cells = "".join(_accuracy(rows[key].get(arm), arm == best) for arm in arms)
            lines.append(f"<tr><th scope='row'>{html.escape(_titled(key, title, rows))}</th>{cells}</tr>")
    if isinstance(rows.get("rankme"), dict):
        cells = "".join(_rank(rows["rankme"].get(arm)) for arm in arms)
        lines.append(f"<tr><th scope='row'>RankMe (effective rank)</th>{cells}</tr>")
    head = "".join(f'<th scope="col" class="number">{figures.ARMS[arm]}</th>' for arm in arms)
    table = f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    facts = []
    if _number(rows.get("n_train")) and _number(rows.get("n_test")):
        facts.append(f"{rows['n_train']:,} labelled samples to learn from, {rows['n_test']:,} to test on.")
    classes = rows.get("classes")
    count = len(classes) if isinstance(classes, list) else classes
    if _number(count) and count:
        facts.append(
            f"{plural(count, 'class', 'classes')}, so guessing at random gives about {percent(1 / count)}."
        )
    facts.append(
        "Ranges are bootstrap intervals over the test samples. Labels are used here and nowhere in training."
    )
    warnings = "".join(
        f'<p class="warn">{html.escape(sentence(str(w)))}</p>' for w in rows.get("warnings") or []
    )
    chart = page.chart("chart-accuracy", "Accuracy with intervals", figures.accuracy_bars(rows, ACCURACIES))
    body = f'{table}{warnings}<p class="note">{" ".join(facts)}</p><div class="charts">{chart}</div>'
    return Section("evaluation", "Evaluation", body)


def training(folder: RunFolder, page: Page) -> Section:
    """Loss and its terms, learning rate, gradient norm, speed."""
    metrics, speed = folder.metrics, folder.speed
    if not metrics:
        return Section("training", "Training", missing(folder.problems.get("metrics.csv", "it is empty")))
    positive = "loss" in metrics and bool(np.nanmin(metrics["loss"], initial=np.inf) > 0)
    charts = page.chart("chart-loss", "Loss", figures.loss_curve(metrics), log=positive, wide=True)
    norms = figures.curve(metrics, "grad_norm", "gradient norm", figures.PALETTE[3])
    charts += page.chart(
        "chart-lr", "Learning rate", figures.curve(metrics, "lr", "learning rate", figures.PALETTE[2])
    )
    charts += page.chart("chart-norm", "Gradient norm", norms, log=True)
    pace = (
        figures.curve(speed, "images_per_second", "samples a second", figures.PALETTE[4]) if speed else None
    )
    charts += page.chart("chart-speed", "Speed", pace)
    note = (
        ""
        if speed
        else f'<p class="note">No speed curve: {html.escape(folder.problems.get("speed.csv", "it is empty"))}.</p>'
    )
    return Section("training", "Training", f'<div class="charts">{charts}</div>{note}')


def watch(folder: RunFolder, page: Page) -> Section:
    """Effective rank, spread, alignment and uniformity with the verdict."""
    title = "Rank and spread"
    if not folder.watch:
        return Section("watch", title, missing(folder.problems.get("watch.csv", "it is empty")), "Watch")
    verdict = verdict_of(folder)
    bad = tone(verdict["state"]) == "bad"
    since = float(verdict["since"]) if bad and _number(verdict["since"]) else None
    rows = folder.watch
    charts = page.chart(
        "chart-rank", "Effective rank", figures.watch_curves(rows, "rank", "effective rank", since)
    )
    charts += page.chart("chart-spread", "Spread", figures.watch_curves(rows, "spread", "spread", since))
    for name, colour in (("alignment", figures.PALETTE[2]), ("uniformity", figures.PALETTE[3])):
        charts += page.chart(f"chart-{name}", name.capitalize(), figures.curve(rows, name, name, colour))
    said = html.escape(sentence(verdict["text"] or f"verdict: {verdict['state']}"))
    shaded = " The time since then is shaded." if since is not None else ""
    note = (
        "Effective rank says over how many directions the samples spread; spread is 1 when their directions are as varied "
        "as on a sphere and 0 when all samples give the same vector. Both falling towards zero is collapse: the encoder "
        "has stopped telling samples apart."
    )
    return Section(
        "watch", title,
        f'<p class="verdict {tone(verdict["state"])}">{said}{shaded}</p><p class="note">{note}</p>'
        f'<div class="charts">{charts}</div>',
        "Watch",
    )  # fmt: skip


def configuration(folder: RunFolder) -> Section:
    """Every setting of the run, by group."""
    loose = {key: value for key, value in folder.config.items() if not isinstance(value, dict)}
    groups = {
        "run": loose,
        **{key: value for key, value in folder.config.items() if isinstance(value, dict) and value},
    }
    tables = "".join(
        f"<div><h3>{html.escape(name)}</h3>{settings_table(rows)}</div>" for name, rows in groups.items()
    )
    return Section("configuration", "Configuration", f'<div class="settings-grid">{tables}</div>')


def environment(folder: RunFolder) -> Section:
    """The machine and the versions."""
    if not folder.environment:
        return Section(
            "environment", "Environment", missing(folder.problems.get("environment.json", "it is empty"))
        )
    return Section("environment", "Environment", settings_table(folder.environment))


def skipped(folder: RunFolder) -> Section | None:
    """What could not be read, where there is any."""
    rows = folder.summary.get("skipped") or []
    if not rows:
        return None
    lines = "".join(
        f"<tr><th scope='row'>{html.escape(str(name))}</th><td>{html.escape(str(reason))}</td></tr>"
        for name, reason in rows[:LISTED]
    )
    more = f'<p class="note">And {len(rows) - LISTED:,} more.</p>' if len(rows) > LISTED else ""
    counted = f"{plural(len(rows), 'file')} could not be read and took no part in the training."
    body = (
        f"<p>{counted}</p><details{' open' if len(rows) <= 10 else ''}><summary>Names and reasons</summary>"
        f'<div class="scroll"><table class="settings">{lines}</table></div>{more}</details>'
    )
    return Section("skipped", "Skipped files", body, "Skipped")


def repeat(folder: RunFolder) -> Section:
    """The command that trains the same again, and how to use the run."""
    line = command(folder)
    again = (
        f"<p>This command starts the same training anew:</p><pre>{html.escape(line)}</pre>"
        if line
        else '<p class="missing">The encoder was a module of your own, so this training is repeated from Python.</p>'
    )
    place = html.escape(str(folder.path))
    return Section(
        "repeat", "How to repeat it",
        f"{again}<p>The trained encoder is in the run folder; to use it:</p>"
        f"<pre>tacit embed {place} DATA -o embeddings.parquet\ntacit evaluate {place} LABELLED</pre>",
        "Repeat",
    )  # fmt: skip


def settings_table(values: dict[str, Any]) -> str:
    """Nested settings as a table of two columns."""
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>"
        for name, text in rows_of(values)
    )
    return f'<table class="settings">{rows}</table>'


def _facts(folder: RunFolder) -> str:
    cards: list[tuple[str, str, str]] = []
    for key, title in ACCURACIES.items():
        arms = folder.evaluation.get(key)
        if isinstance(arms, dict) and "trained" in arms:
            beside = f"random encoder {percent(arms['random']['accuracy'])}" if "random" in arms else ""
            cards.append((title, percent(arms["trained"]["accuracy"]), beside))
    ranks = folder.watch.get("embedding_rank")
    if ranks is not None and np.isfinite(ranks[-1]):
        width = folder.gallery.embeddings.shape[1] if folder.gallery else None
        cards.append(("effective rank", f"{ranks[-1]:.1f}", f"of {width} dimensions" if width else ""))
    loss = folder.metrics.get("loss")
    if loss is not None:
        cards.append(("loss", f"{loss[-1]:.4g}", f"from {loss[0]:.4g}"))
    pace = folder.speed.get("images_per_second")
    if pace is not None and np.isfinite(pace).any():
        cards.append(("samples a second", f"{np.nanmedian(pace):,.0f}", "median of the run"))
    return "".join(
        f'<div class="fact"><dt>{html.escape(title)}</dt><dd>{html.escape(value)}<small>{html.escape(small)}</small></dd></div>'
        for title, value, small in cards
    )


def _gain(rows: dict[str, Any]) -> str:
    knn = rows.get("knn")
    if not isinstance(knn, dict) or "trained" not in knn:
        return ""
    others = [f"{percent(knn[arm]['accuracy'])} with {words}" for arm, words in
              (("raw", "the raw input"), ("random", "an untrained encoder")) if arm in knn]  # fmt: skip
    beside = f", against {' and '.join(others)}" if others else ""
    return f" Its embeddings classify {percent(knn['trained']['accuracy'])} of labelled test samples by nearest neighbours{beside}."


def _titled(key: str, title: str, rows: dict[str, Any]) -> str:
    return f"{title} (k = {rows['k']})" if key == "knn" and "k" in rows else title


def _accuracy(row: dict[str, float] | None, best: bool) -> str:
    if not row:
        return '<td class="number">–</td>'
    spread = (
        f"<small>{percent(row['low'])} to {percent(row['high'])}</small>"
        if "low" in row and "high" in row
        else ""
    )
    return f'<td class="number{" best" if best else ""}">{percent(row["accuracy"])}{spread}</td>'


def _rank(value: Any) -> str:
    return f'<td class="number">{value:.1f}</td>' if _number(value) else '<td class="number">–</td>'


def _epochs(folder: RunFolder) -> str:
    epochs = folder.part("training").get("epochs")
    return f" ({plural(epochs, 'epoch')})" if _number(epochs) and epochs else ""


def _short(data: dict[str, Any], nouns: tuple[str, str]) -> str:
    path = str(data.get("path") or "").rstrip("/\\")
    name = path.replace("\\", "/").rpartition("/")[2]
    return name or (plural(data["count"], *nouns) if _number(data.get("count")) else nouns[1])


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
