from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tacit
from tacit import registry
from tacit.errors import OptionError
from tacit.methods.base import Method


def test_the_declared_methods_are_found_and_load() -> None:
    names = {e.name for e in tacit.catalogue("method")}
    assert {"simclr", "barlow-twins", "mixed-barlow-twins", "vicreg", "byol", "masked-autoencoder"} <= names
    for entry in tacit.catalogue():
        loaded = registry.find(entry.name)
        assert f"{loaded.__module__}:{loaded.__qualname__}" == entry.target
        assert entry.title
        assert entry.url.startswith("https://")
        assert 1990 < entry.year < 2030


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean 'simclr'"):
        registry.find("simlcr", "method")


def test_what_a_user_registers_joins_the_table() -> None:
    @tacit.register("my-own", kind="method", family="mine", title="Mine", year=2026, url="https://example.org")
    class Mine(Method):
        pass

    assert registry.find("my-own") is Mine
    assert registry.entry("my-own").as_dict()["modalities"] == list(registry.modality_names())
    del registry._live["my-own"], registry._objects["my-own"]


@pytest.mark.parametrize("field", [{"kind": "mehtod"}, {"basis": "rumour"}])
def test_wrong_declarations_are_refused(field: dict[str, str]) -> None:
    values = {"name": "x", "kind": "method", "family": "f", "title": "T", "year": 2020, "url": "u"} | field
    with pytest.raises(OptionError, match=next(iter(field.values()))):
        registry.Entry(**values)  # type: ignore[arg-type]


def test_listing_answers_without_importing_torch() -> None:
    code = "import sys, tacit.cli as c; c.main(['methods', '--json']); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    keys = {"name", "kind", "family", "modalities", "title", "year", "url", "basis"}
    assert all(set(row) == keys for row in rows)
