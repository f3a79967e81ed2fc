"""What views and encoders must know of a set of documents."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tacit.data import Source
from tacit.errors import DataError
from tacit.modalities.text.codec import Tokenizing

NOUN = ("document", "documents")
ALONE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """Facts of a data set that a trained encoder depends on; stored in the run.

    Attributes:
        tokenizer: how text is cut into tokens: the JSON of the ``tokenizers`` library, or the name of a Hugging Face
            model (or a folder).
        vocabulary: number of ids.
        mask: the id of what is hidden.
        length: tokens of the longest document, as it is read.
        ragged: whether documents differ in length.
        again: options for reading other documents in the same way.
    """

    tokenizer: Tokenizing
    vocabulary: int
    mask: int
    length: int
    ragged: bool
    again: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def reading(self) -> dict[str, Any]:
        """Options for opening other data the way this run saw its own."""
        named = isinstance(self.tokenizer, str)
        return self.again | {"tokenizer": {"huggingface": self.tokenizer} if named else self.tokenizer}

    def words(self) -> str:
        """What the announcement of a run says of the data."""
        whose = f" of {self.tokenizer}" if isinstance(self.tokenizer, str) else ""
        return f"{'up to ' * self.ragged}{self.length} tokens of a vocabulary of {self.vocabulary:,}{whose}"

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Spec:
        return cls(**{**row, "again": dict(row["again"])})


def spec_of(source: Source) -> Spec:
    """The spec of a data set: its tokenizer and lengths.

    Raises:
        DataError: if it is no source of text.
    """
    from tacit.modalities.text.reading import Texts

    if not isinstance(source, Texts):
        raise DataError(f"the spec of text needs a source of text, not of {source.modality}")
    codec = source.codec
    low, high = source.describe()["length"]
    return Spec(codec.stored, codec.size, codec.mask, high, low < high, dict(source.again))
