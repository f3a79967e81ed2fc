"""Text to token ids and back."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OptionError, needs

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
LEAST = 260
"""Entries that a vocabulary must have room for: all bytes and the special ones."""
SAMPLE = 500_000
"""Documents that a vocabulary is made from, at most."""
AT_ONCE = 4096
ENDS = frozenset(".!?…。！？।؟")

Tokenizing = dict[str, Any] | str
"""How text is cut into tokens, as it is stored: the JSON of the ``tokenizers`` library, or the name of a Hugging Face
model or a folder with one (which may also be ``{"huggingface": name}``)."""


class Codec:
    """A tokenizer and what must be known of it.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``.
        stored: what it can be made from again.
        before, after: ids that a model wants around each document.
        pad, mask: the ids of padding (for a model) and of what is hidden.
        limit: tokens of a document that a model takes; None: any number.
    """

    def __init__(
        self,
        tokenizer: Any,
        stored: Tokenizing,
        *,
        before: tuple[int, ...] = (),
        after: tuple[int, ...] = (),
        pad: int = 0,
        mask: int = 2,
        limit: int | None = None,
    ) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # '[PAD]' in a document is five characters of text
        self.tokenizer, self.stored = tokenizer, stored
        self.before, self.after, self.pad, self.mask, self.limit = before, after, pad, mask, limit
        self.size = int(tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str], most: int) -> Iterator[list[tuple[NDArray[np.int32], bool]]]:
        """Ids of each document, at most ``most`` of them, and whether it was cut there; some documents at a time."""
        self.tokenizer.enable_truncation(most)
        try:
            for start in range(0, len(texts), AT_ONCE):
                found = self.tokenizer.encode_batch(list(texts[start : start + AT_ONCE]), add_special_tokens=False)
                yield [(np.array(one.ids, np.int32), bool(one.overflowing)) for one in found]
        finally:
            self.tokenizer.no_truncation()

    def decode(self, ids: Sequence[int]) -> str:
        """Text that the ids stand for."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False)).strip()

    @functools.cached_property
    def marks(self) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Of each entry of the vocabulary whether it begins a word (bool ``[V]``), and whether it ends a sentence: 1 if
        what follows begins a word, 2 if in any case (int64 ``[V]``)."""
        pieces = [self.tokenizer.id_to_token(i) or "" for i in range(self.size)]
        space = next((s for s in ("Ġ", "▁") if any(piece.startswith(s) for piece in pieces)), None)
        if space is not None:
            begins = [piece.startswith(space) for piece in pieces]
        else:
            begins = [not piece.startswith("##") for piece in pieces]
        ends = [2 if "Ċ" in p or "\n" in p else int(any(c in ENDS for c in p)) for p in pieces]
        return np.array(begins), np.array(ends)


def trained(texts: Sequence[str], size: int) -> Codec:
    """A byte-pair encoding made from the documents: bytes to begin with, so that no text of any language is unknown.

    Args:
        size: entries of the vocabulary, with the 256 bytes and three special ones; fewer where the documents give no
            more pairs that occur twice.

    Source: Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units, on bytes.

    Raises:
        OptionError: for a size below 260.
        MissingExtra: without the ``tokenizers`` library.
    """
    if size < LEAST:
        raise OptionError(f"vocabulary must be at least {LEAST} entries (every byte has one), not {size}")
    library = needs("tokenizers", "text", "making a vocabulary")
    made = library.Tokenizer(library.models.BPE())
    made.normalizer = library.normalizers.NFC()
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    made.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, special_tokens=[PAD, UNKNOWN, MASK], show_progress=False,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    step = -(-len(texts) // SAMPLE)
    made.train_from_iterator(_parts(texts[::step]), trainer)
    return from_json(json.loads(made.to_str()))


def _parts(texts: Sequence[str]) -> Iterable[list[str]]:
    return ([*texts[start : start + AT_ONCE]] for start in range(0, len(texts), AT_ONCE))


def codec_of(stored: Tokenizing) -> Codec:
    """The codec that was stored, see :data:`Tokenizing`.

    Raises:
        OptionError: if it cannot be read.
        MissingExtra: without the library that it needs.
    """
    if isinstance(stored, str):
        return from_name(stored)
    return from_name(stored["huggingface"]) if "huggingface" in stored else from_json(stored)


def from_json(stored: dict[str, Any]) -> Codec:
    """A codec from the JSON of the ``tokenizers`` library."""
    library = needs("tokenizers", "text", "reading text")
    try:
        tokenizer = library.Tokenizer.from_str(json.dumps(stored))
    except Exception as error:  # the library raises nothing more particular
        raise OptionError(f"the tokenizer is not in the format of the tokenizers library: {error}") from None
    mask = tokenizer.token_to_id(MASK)
    return Codec(tokenizer, stored, mask=0 if mask is None else mask)


@functools.lru_cache(maxsize=4)
def from_name(name: str) -> Codec:
    """The codec of a Hugging Face model: its name on the hub, or a folder.

    Raises:
        OptionError: if there is none of that name.
        MissingExtra: without the ``transformers`` library.
    """
    library = needs("transformers", "text", f"the tokenizer '{name}'")
    try:
        found = library.AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
    except Exception as error:  # of several libraries and the network
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise OptionError(
            f"tokenizer '{name}' cannot be loaded: {reason}; give the name of a Hugging Face model or a folder with one"
        ) from None
    if not getattr(found, "is_fast", False):
        raise OptionError(f"tokenizer '{name}' has no version for the tokenizers library (a tokenizer.json)")
    bare, whole = (found("a", add_special_tokens=more)["input_ids"] for more in (False, True))
    at = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    before, after = tuple(whole[:at]), tuple(whole[at + len(bare) :])
    limit = int(found.model_max_length) if found.model_max_length < 1e6 else None
    pad, mask = (0 if special is None else special for special in (found.pad_token_id, found.mask_token_id))
    room = None if limit is None else limit - len(before) - len(after)
    return Codec(found.backend_tokenizer, name, before=before, after=after, pad=pad, mask=mask, limit=room)
