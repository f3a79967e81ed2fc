"""Numbers and settings in words."""

from __future__ import annotations

import inspect
import math
import shlex
from dataclasses import fields
from typing import Any

from tacit import registry
from tacit.errors import OptionError
from tacit.options import parameters
from tacit.reporting.folder import RunFolder
from tacit.training.settings import Settings

LONGEST = 40
"""Items of a list of settings that are shown."""


def duration(seconds: float) -> str:
    """``95`` as ``1 min 35 s``."""
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def percent(value: float) -> str:
    """A share of one with one decimal of a percent."""
    return f"{100 * value:.1f}%"


def plural(count: float, noun: str, nouns: str = "") -> str:
    """``1 image``, ``1,797 images``."""
    return f"{count:,.0f} {noun if count == 1 else nouns or noun + 's'}"


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".") if text else ""


def rows_of(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested settings as ``(dotted name, value)`` rows."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in rows_of(inner, f"{path}.{key}" if path else str(key))]
    if isinstance(value, float):
        return [(path, f"{value:.6g}")]
    if isinstance(value, (list, tuple)):
        shown = [text for item in value[:LONGEST] for _, text in rows_of(item)]
        more = [f"... ({len(value):,} in all)"] if len(value) > LONGEST else []
        return [(path, ", ".join(shown + more) or "none")]
    return [
        (
            path,
            {None: "none", True: "true", False: "false"}.get(value, str(value)) if _plain(value) else str(value),
        )
    ]


def command(folder: RunFolder) -> str | None:
    """The command line that starts this training anew; None where the encoder was the user's own module."""
    config = folder.config
    method, encoder = folder.part("method"), folder.part("encoder")
    if encoder.get("name") == "custom":
        return None
    verb = "adapt" if folder.paper is not None and folder.paper.kind == "adaptation" else "pretrain"
    arguments = [(f"tacit {verb}", config.get("data", {}).get("path") or "DATA")]
    arguments += [
        ("--modality", config.get("modality")),
        ("--method", method.get("name")),
        ("--encoder", encoder.get("name")),
    ]
    arguments += [("--views", folder.part("views").get("recipe"))]
    automatic = {field.name: field.default for field in fields(Settings)}
    training = {k: v for k, v in folder.part("training").items() if k in automatic and v != automatic[k]}
    for flag in ("epochs", "steps", "time", "batch_size"):
        arguments.append((f"--{flag.replace('_', '-')}", training.pop(flag, None)))
    arguments += [("--seed", config.get("seed")), ("--continue-from", config.get("continue_from"))]
    settings = {**_changed(str(method.get("name")), method.get("options") or {}), **training}
    for group, options in (
        ("encoder", encoder.get("options")),
        ("views", folder.part("views").get("options")),
        ("schedule", config.get("schedule")),
        ("data", config.get("reading")),
    ):
        settings.update({f"{group}.{name}": value for name, value in (options or {}).items()})
    words = [f"{flag} {shlex.quote(str(value))}" for flag, value in arguments if value is not None]
    words += [f"--set {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
    return " \\\n    ".join(words)


def _changed(method: str, options: dict[str, Any]) -> dict[str, Any]:
    try:
        defaults = parameters(registry.find(method), skip=1)
    except (OptionError, ImportError):
        return options
    unset = (None, inspect.Parameter.empty)
    return {name: value for name, value in options.items() if _list(value) != _list(defaults.get(name, unset)[1])}


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
