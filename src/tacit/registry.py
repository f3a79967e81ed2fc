"""Names of methods, views, metrics and schedules, with the papers they come from.

A thing is registered by one decorator on its class or function. For everything in the package the decorator's
literal arguments are read from the source text, so that listing what exists imports neither torch nor the
modules themselves; :func:`find` imports the one module that is asked for. What a user registers in their own
file joins the same table when that file is imported.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tacit.errors import OptionError, unknown

T = TypeVar("T")

KINDS = ("method", "views", "metric", "schedule", "curation", "adaptation", "task", "lab", "benchmark")
BASES = ("paper", "code", "reading")
PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One registered thing.

    Attributes:
        name: what the user types, e.g. ``"barlow-twins"``.
        kind: one of :data:`KINDS`.
        family: the family inside its kind, e.g. ``"redundancy"``.
        modalities: kinds of data it works on; ``("any",)`` stands for every modality of the package.
        title, year, url: the paper, its title as published.
        basis: what the implementation rests on: ``paper``, ``code`` (the official code was read too), or
            ``reading`` (the paper leaves parts open, and this is our concrete reading).
        target: ``module:qualified name`` of the registered object.
    """

    name: str
    kind: str
    family: str
    title: str
    year: int
    url: str
    basis: str = "paper"
    modalities: tuple[str, ...] = ("any",)
    target: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(f"kind of '{self.name}' must be one of {', '.join(KINDS)}, not '{self.kind}'")
        if self.basis not in BASES:
            raise OptionError(f"basis of '{self.name}' must be one of {', '.join(BASES)}, not '{self.basis}'")

    def as_dict(self) -> dict[str, Any]:
        """The entry as plain data, as ``tacit methods --json`` prints it."""
        row = asdict(self)
        del row["target"]
        row["modalities"] = list(modality_names() if "any" in self.modalities else self.modalities)
        return row


_live: dict[str, Entry] = {}
_objects: dict[str, Any] = {}


def register(
    name: str,
    *,
    kind: str,
    family: str,
    title: str,
    year: int,
    url: str,
    basis: str = "paper",
    modalities: tuple[str, ...] = ("any",),
) -> Callable[[T], T]:
    """Give a class or function a name and its paper; see :class:`Entry` for the arguments (use literals)."""

    def decorate(target: T) -> T:
        path = f"{target.__module__}:{target.__qualname__}"  # type: ignore[attr-defined]
        _live[name] = Entry(name, kind, family, title, year, url, basis, tuple(modalities), path)
        _objects[name] = target
        return target

    return decorate


@functools.cache
def modality_names() -> tuple[str, ...]:
    """The kinds of data that the package reads: one folder each under ``modalities/``."""
    return tuple(sorted(p.parent.name for p in (PACKAGE / "modalities").glob("*/__init__.py")))


@functools.cache
def _declared() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "@register(" not in text:
            continue
        module = ".".join(("tacit", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                for call in node.decorator_list:
                    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "register":
                        name = ast.literal_eval(call.args[0])
                        fields = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
                        if name in entries:
                            raise OptionError(f"'{name}' is registered twice: {entries[name].target} and {module}")
                        entries[name] = Entry(name=name, target=f"{module}:{node.name}", **fields)
    return entries


def catalogue(kind: str | None = None, modality: str | None = None) -> list[Entry]:
    """All registered entries in order of kind, family and name; torch is not imported.

    Args:
        kind: only this kind (one of :data:`KINDS`).
        modality: only what works on this modality.
    """
    if kind is not None and kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    if modality is not None and modality not in modality_names():
        raise unknown("modality", modality, modality_names())
    rows = [
        entry
        for entry in {**_declared(), **_live}.values()
        if (kind is None or entry.kind == kind)
        and (modality is None or "any" in entry.modalities or modality in entry.modalities)
    ]
    return sorted(rows, key=lambda e: (KINDS.index(e.kind), e.family, e.name))


def entry(name: str, kind: str | None = None) -> Entry:
    """The entry of one name.

    Raises:
        OptionError: if there is none of this kind; the nearest name is suggested.
    """
    known = {e.name: e for e in catalogue(kind)}
    if name not in known:
        raise unknown(kind or "name", name, known)
    return known[name]


def find(name: str, kind: str | None = None) -> Any:
    """Import and return the class or function registered as ``name``."""
    found = entry(name, kind)
    if name not in _objects:
        importlib.import_module(found.target.partition(":")[0])
    return _objects[name]
