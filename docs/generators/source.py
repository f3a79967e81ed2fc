"""Docstrings, signatures and type aliases, read from source text."""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tacit.registry import PACKAGE

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Parameter:
    """One parameter; ``default`` is its source text, or None where there is none."""

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class Thing:
    """A class or a function; ``target`` is ``module:name``. A property has no signature."""

    target: str
    name: str
    doc: str
    parameters: list[Parameter]
    signature: str | None
    is_class: bool = False
    values: dict[str, str] = field(default_factory=dict)
    methods: list[Thing] = field(default_factory=list)


@functools.cache
def tree(module: str) -> ast.Module:
    """The parsed source of a module of tacit."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def read(target: str) -> Thing:
    """What ``module:name`` is. An unknown name is a LookupError that names it."""
    module, _, name = target.partition(":")
    for node in tree(module).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return _class(module, node) if isinstance(node, ast.ClassDef) else _function(module, node)
    raise LookupError(f"{module} has no class or function {name}")


def public(module: str) -> list[Thing]:
    """The public documented classes and functions of a module, in its order."""
    return [
        read(f"{module}:{node.name}")
        for node in tree(module).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        and not node.name.startswith("_")
        and ast.get_docstring(node)
    ]


def objective_of(target: str) -> Thing | None:
    """The objective that a method builds as ``self.objective``, if it is one of tacit's."""
    module, _, name = target.partition(":")
    node = next(n for n in tree(module).body if isinstance(n, ast.ClassDef) and n.name == name)
    for part in ast.walk(node):
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "self.objective":
            called = part.value.func if isinstance(part.value, ast.Call) else None
            found = imports(module).get(ast.unparse(called)) if called else None
            return read(found) if found else None
    return None


def parts_of(target: str, given: Sequence[str] = ()) -> list[Thing]:
    """Classes of tacit that parameters of a class are of, but those in ``given``: the transform inside views."""
    module = target.partition(":")[0]
    known = {node.name: f"{module}:{node.name}" for node in tree(module).body if isinstance(node, ast.ClassDef)}
    known |= imports(module)
    words = (re.findall(r"\w+", p.type) for p in read(target).parameters if p.name not in given)
    return [read(known[name]) for name in dict.fromkeys(itertools.chain(*words)) if name in known]


def _class(module: str, node: ast.ClassDef) -> Thing:
    functions = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    start = next((n for n in functions if n.name == "__init__"), None)
    fields = [n for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    if start is not None:
        parameters = _parameters(module, start.args)[1:]
    elif any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        parameters = [
            Parameter(n.target.id, _type(module, n.annotation), ast.unparse(n.value) if n.value else None)
            for n in fields
            if isinstance(n.target, ast.Name)
        ]
    else:
        parameters = []
    values = {ast.unparse(n.target): ast.unparse(n.value) for n in fields if n.value is not None}
    methods = [
        _function(module, n)
        for n in functions
        if not n.name.startswith("_") and ast.get_docstring(n) and "overload" not in map(ast.unparse, n.decorator_list)
    ]
    doc = ast.get_docstring(node) or ""
    signature = _signature(node.name, start.args) if start else f"{node.name}({', '.join(map(_short, parameters))})"
    return Thing(f"{module}:{node.name}", node.name, doc, parameters, signature, True, values, methods)


def _function(module: str, node: ast.FunctionDef) -> Thing:
    doc = ast.get_docstring(node) or ""
    parameters, signature = _parameters(module, node.args), _signature(node.name, node.args)
    if any("property" in ast.unparse(d) for d in node.decorator_list):
        return Thing(f"{module}:{node.name}", node.name, doc, [], None)
    return Thing(f"{module}:{node.name}", node.name, doc, parameters, signature)


def _signature(name: str, args: ast.arguments) -> str:
    """``name(a, b=1, *, c)``, without types and without ``self``."""
    bare = copy.deepcopy(args)
    for arg in (*bare.posonlyargs, *bare.args, *bare.kwonlyargs, bare.vararg, bare.kwarg):
        if arg is not None:
            arg.annotation = None
    if bare.args and bare.args[0].arg in ("self", "cls"):
        del bare.args[0]
    return f"{name}({ast.unparse(bare)})"


def _short(parameter: Parameter) -> str:
    return parameter.name if parameter.default is None else f"{parameter.name}={parameter.default}"


def _parameters(module: str, args: ast.arguments) -> list[Parameter]:
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    rows = list(zip(plain, defaults, strict=True))
    starred = [("*", args.vararg)] if args.vararg else []
    rows += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    starred += [("**", args.kwarg)] if args.kwarg else []
    found = [Parameter(a.arg, _type(module, a.annotation), ast.unparse(d) if d else None) for a, d in rows]
    return found + [Parameter(stars + a.arg, _type(module, a.annotation), None) for stars, a in starred]


def _type(module: str, annotation: ast.expr | None) -> str:
    """A type in words, with aliases of literals spelled out: ``batch, layer or none``."""
    if annotation is None:
        return ""
    text = ast.unparse(annotation)
    for name in {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}:
        text = re.sub(rf"\b{name}\b", _alias(module, name), text)
    text = re.sub(r"Literal\[([^\]]*)\]", lambda m: m[1].replace("'", "").replace(", ", " | "), text)
    words = text.split(" | ")
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _alias(module: str, name: str) -> str:
    """What an alias of a ``Literal`` stands for, or the name itself."""
    imported = imports(module).get(name)
    place, _, original = imported.partition(":") if imported else (module, "", name)
    for node in tree(place).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == original:
            value = ast.unparse(node.value)
            return value if value.startswith("Literal[") else name
    return name


@functools.cache
def imports(module: str) -> dict[str, str]:
    """Names that a module imports from modules of tacit, as ``module:name``."""
    found: dict[str, str] = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tacit."):
            found |= {a.asname or a.name: f"{node.module}:{a.name}" for a in node.names}
    return {name: target for name, target in found.items() if _is_module(target.partition(":")[0])}


def _is_module(module: str) -> bool:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return base.with_suffix(".py").exists() or (base / "__init__.py").exists()
