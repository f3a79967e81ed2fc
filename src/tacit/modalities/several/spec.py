"""What views and encoders must know of samples of several parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tacit.data import Source
from tacit.errors import DataError
from tacit.modalities import modality
from tacit.modalities.several.source import Joined

NOUN = ("sample", "samples")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        kinds: the kind of data of each part, by its name.
        specs: the spec of each part, of its own kind.
        options: for reading other data in the same way, besides what the parts say.
    """

    kinds: Mapping[str, str]
    specs: Mapping[str, Any]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts, in order."""
        return tuple(self.kinds)

    def package(self, name: str) -> ModuleType:
        """The package of a part's kind."""
        return modality(self.kinds[name])

    def as_dict(self) -> dict[str, Any]:
        parts = {name: {"modality": self.kinds[name], "spec": self.specs[name].as_dict()} for name in self.names}
        return {"parts": parts, "options": dict(self.options)}

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        kinds = {name: part["modality"] for name, part in row["parts"].items()}
        specs = {name: modality(kinds[name]).Spec.from_dict(part["spec"]) for name, part in row["parts"].items()}
        return cls(kinds, specs, dict(row["options"]))

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        options = {name: self.specs[name].reading() for name in self.names}
        return {**self.options, "parts": dict(self.kinds), "options": {n: o for n, o in options.items() if o}}

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        parts = (f"{name} ({self.kinds[name]}: {self.specs[name].words()})" for name in self.names)
        return f"{len(self.names)} parts: {', '.join(parts)}"


def spec_of(source: Source) -> Spec:
    """The spec of a data set: that of each of its parts.

    Raises:
        DataError: for a source that was not opened here.
    """
    if not isinstance(source, Joined):
        raise DataError("samples of several parts must come from tacit.modalities.several.open_source")
    kinds = {name: part.modality for name, part in source.parts.items()}
    asked = source.reading.get("options", {})
    specs = {}
    for name, part in source.parts.items():
        package = modality(kinds[name])
        alone = {key: value for key, value in asked.get(name, {}).items() if key in package.ALONE}
        specs[name] = package.spec_of(part, **alone)
    rest = {key: value for key, value in source.reading.items() if key not in ("parts", "options")}
    return Spec(kinds, specs, rest)
