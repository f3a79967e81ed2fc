"""The sections of the report that keep the record: settings, machine, skipped files, how to repeat."""

from __future__ import annotations

import html
import shlex
from typing import Any

from tacit.reporting.folder import RunFolder
from tacit.reporting.page import Section, missing
from tacit.reporting.words import command, plural, rows_of

LISTED = 200
"""Skipped files that are listed by name."""


def configuration(folder: RunFolder) -> Section:
    """Every setting of the run, by group."""
    loose = {key: value for key, value in folder.config.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in folder.config.items() if isinstance(value, dict) and value}
    tables = "".join(
        f"<div><h3>{html.escape(name)}</h3>{settings_table(rows)}</div>"
        for name, rows in {"run": loose, **nested}.items()
    )
    return Section("configuration", "Configuration", f'<div class="settings-grid">{tables}</div>')


def environment(folder: RunFolder) -> Section:
    """The machine and the versions."""
    rows = folder.environment
    body = settings_table(rows) if rows else missing(folder.why("environment.json"))
    return Section("environment", "Environment", body)


def skipped(folder: RunFolder) -> Section | None:
    """What could not be read, where there is any."""
    rows = folder.summary.get("skipped") or []
    if not rows:
        return None
    lines = _table([(str(name), str(reason)) for name, reason in rows[:LISTED]])
    more = f'<p class="note">And {len(rows) - LISTED:,} more.</p>' if len(rows) > LISTED else ""
    counted = f"{plural(len(rows), 'file')} could not be read and took no part in the training."
    opened = " open" if len(rows) <= 10 else ""
    body = (
        f"<p>{counted}</p><details{opened}><summary>Names and reasons</summary>"
        f'<div class="scroll">{lines}</div>{more}</details>'
    )
    return Section("skipped", "Skipped files", body, "Skipped")


def repeat(folder: RunFolder) -> Section:
    """The command that trains the same again, and how to use the run."""
    line = command(folder)
    if line is None:
        own = "The encoder was a module of your own, so this training is repeated from Python."
        again = f'<p class="missing">{own}</p>'
    else:
        handed = "" if folder.part("data").get("path") else " (DATA stands for data handed over in Python)"
        again = f"<p>This command starts the same training anew{handed}:</p><pre>{html.escape(line)}</pre>"
    place = html.escape(shlex.quote(str(folder.path)))
    body = (
        f"{again}<p>The trained encoder is in the run folder. To use it:</p>"
        f"<pre>tacit embed {place} DATA -o embeddings.parquet\ntacit evaluate {place} LABELLED</pre>"
    )
    return Section("repeat", "How to repeat it", body, "Repeat")


def settings_table(values: dict[str, Any]) -> str:
    """Nested settings as a table of two columns."""
    return _table(rows_of(values))


def _table(rows: list[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td>{html.escape(text)}</td></tr>' for name, text in rows
    )
    return f'<table class="settings">{lines}</table>'
