"""MkDocs hooks: pages from the registry, tables from docstrings and stored results; nothing of it is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from generators import directives, entries  # noqa: E402

ROOT = HERE.parent
COPIED = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages where the navigation names the catalogue."""
    config.nav = _filled(config.nav)
    return config


def _filled(value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(item) for item in value]
    if isinstance(value, dict):
        return {title: _filled(inner) for title, inner in value.items()}
    return entries.navigation() if value == f"{entries.FOLDER}/" else value


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the project's own texts."""
    for path, text in entries.pages().items():
        files.append(File.generated(config, path, content=text))
    for path, name in COPIED.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        text = text.replace("](CHANGELOG.md", "](changelog.md")
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Expand the directives of a page."""
    try:
        return directives.expand(markdown)
    except LookupError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
