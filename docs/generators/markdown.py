"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from generators.source import Thing

SECTIONS = ("Args", "Attributes", "Returns", "Raises")
ROLE = re.compile(r":(?:\w+:)?\w+:`(~?)([^`]+)`")


@dataclass
class Doc:
    """A docstring in parts: ``text`` before its sections, and of each section its terms and meanings."""

    text: str
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        return self.text.partition("\n\n")[0].replace("\n", " ")

    @property
    def meanings(self) -> dict[str, str]:
        """What each parameter or attribute means, by name; several may share one meaning."""
        rows = [*self.sections.get("Args", []), *self.sections.get("Attributes", [])]
        return {name.strip().lstrip("*"): text for names, text in rows for name in names.split(",")}


def parse(docstring: str) -> Doc:
    """Take a docstring with Google sections apart."""
    doc, current = Doc(""), ""
    kept: list[str] = []
    for line in inspect.cleandoc(docstring).split("\n"):
        head = line.rstrip(":")
        if line.endswith(":") and head in SECTIONS:
            current = head
            doc.sections[head] = []
        elif current and (not line or line.startswith(" ")):
            _add(doc.sections[current], line, terms=current != "Returns")
        else:
            current = ""
            kept.append(line)
    doc.text = prose("\n".join(kept).strip())
    return doc


def _add(rows: list[tuple[str, str]], line: str, terms: bool) -> None:
    if not line:
        return
    term, colon, rest = line.strip().partition(": ")
    starts = len(line) - len(line.lstrip()) == 4
    if terms and starts and colon:
        rows.append((term, prose(rest)))
    elif rows:
        rows[-1] = (rows[-1][0], f"{rows[-1][1]} {prose(line.strip())}")
    else:
        rows.append(("", prose(line.strip())))


def prose(text: str) -> str:
    """reStructuredText's inline marks as Markdown's; ``::`` before a literal block becomes a colon."""
    text = ROLE.sub(lambda m: f"`{m[2].rpartition('.')[2] if m[1] else m[2]}`", text)
    return re.sub(r"::$", ":", text.replace("``", "`"), flags=re.M)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def parameters(thing: Thing, skip: Sequence[str] = ()) -> str:
    """The table of what a class or function takes; empty where it takes nothing."""
    meanings = parse(thing.doc).meanings
    rows = [
        (code(p.name), code(p.type), code(p.default), meanings.get(p.name.lstrip("*"), ""))
        for p in thing.parameters
        if p.name not in skip
    ]
    return table(("name", "type", "default", "meaning"), rows) if rows else ""


def described(thing: Thing, level: int = 3, qualifier: str = "") -> str:
    """A class or function with everything that its docstring says."""
    doc = parse(thing.doc)
    parts = [f"{'#' * level} `{qualifier}{thing.name}`"]
    if thing.signature and (thing.parameters or not thing.is_class):
        lines = textwrap.fill(thing.signature, 84, subsequent_indent="    ", break_on_hyphens=False)
        parts.append(f"```python\n{lines}\n```")
    parts.append(doc.text)
    takes = parameters(thing, ("self", "cls"))
    if takes and doc.meanings:
        parts.append(takes)
    for title in ("Attributes", "Returns", "Raises"):
        rows = doc.sections.get(title, [])
        named = {p.name for p in thing.parameters}
        rows = [row for row in rows if title != "Attributes" or row[0].partition(",")[0] not in named]
        if rows:
            listed = [f"- {code(term)}{': ' if term else ''}{text}" for term, text in rows]
            parts.append(f"**{title}**\n\n" + "\n".join(listed))
    parts += [described(method, level + 1, f"{thing.name}.") for method in thing.methods]
    return "\n\n".join(part for part in parts if part)
