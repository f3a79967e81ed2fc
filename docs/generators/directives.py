"""What ``<!-- generated: NAME ARGUMENT -->`` on a page stands for."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable

import tacit
from generators import entries, results
from generators.markdown import code, described, parameters, parse, table
from generators.source import ROOT, imports, public, read, tree
from tacit.registry import PACKAGE, catalogue

DIRECTIVE = re.compile(r"^<!-- generated: (\S+)(?: (.+?))? -->$", re.M)


def expand(markdown: str) -> str:
    """Replace every directive; an unknown one is a LookupError that names it."""

    def made(match: re.Match[str]) -> str:
        if match[1] not in DIRECTIVES:
            raise LookupError(f"there is no directive '{match[1]}'; known: {', '.join(sorted(DIRECTIVES))}")
        return DIRECTIVES[match[1]](match[2] or "")

    return DIRECTIVE.sub(made, markdown)


def options(argument: str) -> str:
    """``MODULE:NAME [SKIPPED ...]``: the table of parameters of a class or function, without some of them."""
    target, *skipped = argument.split()
    return parameters(read(target), skipped)


def api(target: str) -> str:
    """Everything that the docstring of ``module:name`` says."""
    return described(read(target))


def module(name: str) -> str:
    """Every public documented class and function of a module."""
    return "\n\n".join(described(thing) for thing in public(name))


def exports(package: str) -> str:
    """The names that a package imports from its modules for its users."""
    return "\n\n".join(described(read(target)) for target in imports(package).values())


def exported(_: str) -> str:
    """The names that ``import tacit`` offers, the verbs first."""
    targets = [f"{where}:{name}" for name, where in tacit._WHERE.items()]
    return "\n\n".join(described(read(t), qualifier="tacit.") for t in targets)


def objectives(_: str) -> str:
    """The objectives: name, what each crosses ranks with, and its summary."""
    rows = []
    for path in sorted((PACKAGE / "objectives").glob("*.py")):
        family = f"tacit.objectives.{path.stem}"
        if path.stem in ("__init__", "base"):
            continue
        for thing in public(family):
            if thing.is_class and "crosses" in thing.values:
                crosses = str(ast.literal_eval(thing.values["crosses"]))
                rows.append((code(f"{family}.{thing.name}"), crosses, parse(thing.doc).summary))
    return table(("objective", "of other ranks it needs", "in a sentence"), rows)


def recipes(_: str) -> str:
    """The names of the image view recipes with the comment that stands above each."""
    lines = (PACKAGE / "modalities" / "image" / "recipes.py").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("RECIPES:"))
    rows, comment = [], ""
    for line in lines[start + 1 : lines.index("}", start)]:
        text = line.strip()
        if text.startswith("#"):
            comment += text.lstrip("# ") + " "
        elif match := re.match(r'"([a-z-]+)":', text):
            used = [e.name for e in catalogue("method") if entries.recipe_of(e) == match[1]]
            rows.append((code(match[1]), ", ".join(used), comment.strip()))
            comment = ""
    return table(("recipe", "the default of", "source"), rows)


def commands(_: str) -> str:
    """What ``tacit --help`` and the help of every verb print."""
    from tacit.cli import build_parser

    parser = build_parser()
    verbs = next(a.choices for a in parser._actions if isinstance(a.choices, dict))
    shown = [("tacit", parser), *((f"tacit {name}", verb) for name, verb in verbs.items())]
    return "\n\n".join(f"## {name}\n\n```text\n{part.format_help().strip()}\n```" for name, part in shown)


def picture(argument: str) -> str:
    """``PATH | TEXT``: an image of docs/images, its path as the page sees it; left out while it is not there."""
    path, _, text = (part.strip() for part in argument.partition("|"))
    return f"![{text}]({path})" if (ROOT / "docs" / "images" / path.rpartition("/")[2]).exists() else ""


def claim_table(prefix: str) -> str:
    """The stored results of claims; pages of the catalogue lie under PREFIX."""
    return results.claim_table(_links(prefix))


def zoo(prefix: str) -> str:
    """What every method reached on one data set; pages of the catalogue lie under PREFIX."""
    return results.zoo(_links(prefix))


def _links(prefix: str) -> dict[str, str]:
    return {e.name: f"{prefix}{entries.path_of(e)}" for e in catalogue()}


def listing(argument: str) -> str:
    """``KIND PREFIX``: the table of what is registered of one kind."""
    kind, _, prefix = argument.partition(" ")
    return entries.listing(kind, prefix)


def constants(target: str) -> str:
    """The documented constants of a module with their values."""
    body, rows = tree(target).body, []
    for node, after in itertools.pairwise(body):
        if isinstance(node, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            name, value = ast.unparse(node.targets[0]), ast.unparse(node.value)
            rows.append((code(name), code(value), parse(str(after.value.value)).text))
    return table(("constant", "value", "meaning"), rows)


DIRECTIVES: dict[str, Callable[[str], str]] = {
    "api": api,
    "benchmarks": lambda _: results.benchmarks(),
    "claims": claim_table,
    "commands": commands,
    "constants": constants,
    "exported": exported,
    "exports": exports,
    "family": entries.papers,
    "listing": listing,
    "matrix": lambda _: results.matrix(),
    "module": module,
    "objectives": objectives,
    "options": options,
    "picture": picture,
    "recipes": recipes,
    "zoo": zoo,
}
