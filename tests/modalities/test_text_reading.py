"""Reading text: the same documents from every source, and what is said of those that cannot be read."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tokenizers
import torch

from tacit.errors import DataError, MissingExtra, OptionError
from tacit.modalities import modality, open_source, recognised
from tacit.modalities.text.codec import codec_of
from tacit.modalities.text.reading import Texts

DOCUMENTS = [
    "The cat sat on the mat. It was happy!",
    "Ein süßer Hund läuft über die Straße.",
    "猫は眠る。犬は走る。",
    "the cat and the dog and the cat",
    "naïve café: 3.14 [PAD] [MASK] ok",
]
LABELS = ["a", "b", "b", "a", "c"]


def opened(data: Any, **options: Any) -> Texts:
    source = open_source(data, "text", **({"vocabulary": 300} | options))
    assert isinstance(source, Texts)
    return source


def told(source: Texts) -> list[str]:
    """The documents again, from their ids."""
    batch = source.batch(torch.arange(len(source)))
    length = batch.get("length", torch.full((len(source),), batch["x"].shape[1]))
    return [source.codec.decode(x[:n].tolist()) for x, n in zip(batch["x"], length.tolist(), strict=True)]


def named_labels(source: Texts) -> list[str]:
    assert source.labels is not None
    assert source.classes is not None
    return [source.classes[i] for i in source.labels.tolist()]


def test_every_source_gives_the_same_documents(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n\n".join(DOCUMENTS) + "\n", encoding="utf-8")
    (tmp_path / "windows.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(DOCUMENTS).encode())
    frame = pd.DataFrame({"stars": range(5), "review": DOCUMENTS, "label": LABELS})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    rows = [{"text": t, "label": y} for t, y in zip(DOCUMENTS, LABELS, strict=True)]
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (tmp_path / "plain.jsonl").write_text("\n".join(json.dumps(t, ensure_ascii=False) for t in DOCUMENTS), "utf-8")
    labelled: list[Any] = [
        (DOCUMENTS, LABELS), (np.array(DOCUMENTS), np.array(LABELS)), rows, frame,
        *(tmp_path / name for name in ("t.csv", "t.tsv", "t.parquet", "rows.jsonl")),
    ]  # fmt: skip
    plain = [DOCUMENTS, tuple(DOCUMENTS), *(tmp_path / name for name in ("lines.txt", "windows.txt", "plain.jsonl"))]
    for data in labelled + plain:
        assert told(opened(data)) == DOCUMENTS
    for data in labelled:
        assert named_labels(opened(data)) == LABELS
    assert opened(tmp_path / "lines.txt").names[1] == "lines.txt:3"
    assert opened(tmp_path / "rows.jsonl").names[1] == "rows.jsonl:2"


def test_folders_of_files_are_documents_with_classes(tmp_path: Path) -> None:
    for i, (text, label) in enumerate(zip(DOCUMENTS, LABELS, strict=True)):
        (tmp_path / "train" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "train" / label / f"{i}.txt").write_text(text + "\n\n" + text, encoding="utf-8")
    (tmp_path / "train" / "a" / "9.txt").write_text(" \n")
    (tmp_path / "notes.jsonl").write_text("{}")
    source = opened(tmp_path)
    assert sorted(named_labels(source)) == sorted(LABELS)
    assert sorted(told(source)) == sorted(f"{t}\n\n{t}" for t in DOCUMENTS)
    assert dict(source.skipped) == {"notes.jsonl": "most files are .txt", "train/a/9.txt": "there is no text in it"}
    assert source.groups is None
    lines = opened(tmp_path, unit="line")
    assert len(lines) == 10
    assert lines.groups is not None
    files = {name.rpartition(":")[0]: int(g) for name, g in zip(lines.names, lines.groups, strict=True)}
    assert len(set(files.values())) == len(files) == 5
    some = sorted((tmp_path / "train").rglob("[0-4].txt"))
    assert len(opened(some)) == len(opened([str(path) for path in some])) == 5


def test_paragraphs_are_lines_up_to_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("one\ntwo\n\n \nthree\n\nfour\nfive")
    source = opened(tmp_path / "book.txt", unit="paragraph")
    assert told(source) == ["one\ntwo", "three", "four\nfive"]
    assert source.names == ["book.txt:1", "book.txt:5", "book.txt:7"]
    assert told(opened(tmp_path / "book.txt", unit="file")) == ["one\ntwo\n\n \nthree\n\nfour\nfive"]


def test_tokens_are_those_of_a_byte_pair_encoding_of_the_data() -> None:
    source = opened([*DOCUMENTS, *DOCUMENTS])
    assert source.codec.size <= 300
    again = opened([*DOCUMENTS, *DOCUMENTS])
    assert again.codec.stored == source.codec.stored, "the same data give the same vocabulary"
    stored = json.loads(json.dumps(source.codec.stored))
    other = tokenizers.Tokenizer.from_str(json.dumps(stored))
    other.encode_special_tokens = True
    batch = source.batch(torch.arange(5))
    for text, x, n in zip(DOCUMENTS, batch["x"], batch["length"], strict=True):
        assert x[:n].tolist() == other.encode(text).ids
        assert (x[:n] >= 3).all(), "nothing in a document is padding, unknown or hidden"
        assert not x[n:].any()
    new = opened(["Etwas ganz Neues: Ωμέγα ☃"], tokenizer=stored)
    assert told(new) == ["Etwas ganz Neues: Ωμέγα ☃"]


def test_words_and_sentences_are_told_from_the_vocabulary() -> None:
    text = "Hello there. Pi is 3.14, see? Yes\nNo. End"
    codec = opened([text] * 4).codec
    ((ids, _),) = next(codec.encode([text], 100))
    begins, ends = codec.marks
    assert "".join("|" * bool(begins[i]) + codec.tokenizer.id_to_token(int(i)).strip("Ġ") for i in ids) == (
        "|Hello|there.|Pi|is|3.14,|see?|YesĊNo.|End"
    )
    assert [codec.decode([i]) for i in ids if ends[i] == 1] == [".", ".", "?", "."]


def test_long_documents_are_cut_and_counted() -> None:
    source = opened(["a b c d e f", "a b"], most=4)
    facts = source.describe()
    assert (facts["cut"], facts["most"], facts["length"]) == (1, 4, [2, 4])
    spec = modality("text").spec_of(source)
    assert spec.reading()["most"] == 4


def test_missing_text_is_left_out_of_tables_and_refused_in_lists(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["one", None, " ", "four"], "label": [0, 1, 2, 3], "group": [5, 6, 7, 8]}).to_parquet(
        tmp_path / "t.parquet"
    )
    source = opened(tmp_path / "t.parquet")
    assert source.labels is not None
    assert source.groups is not None
    assert (source.labels.tolist(), source.groups.tolist(), source.names) == ([0, 3], [5, 8], ["0", "3"])
    assert [name for name, _ in source.skipped] == ["1", "2"]
    with pytest.raises(DataError, match=r"document 1 has no text in it"):
        opened(["one", "  ", "three"])


@pytest.mark.parametrize(
    ("raw", "options", "said"),
    [
        ("été".encode("latin-1"), {}, r"bad.txt' is not utf-8 text: byte 0 \(0xe9, line 1\); say --set data.encoding"),
        (b"ok\nfine \xff", {}, r"byte 8 \(0xff, line 2\)"),
        ("hello".encode("utf-16"), {}, r"byte 0 .*--set data.encoding=utf-16"),
        (b"abc\0def", {}, "byte 3 is 0"),
        (b"", {}, "there is no text in .*bad.txt"),
        (b" \n\t\n", {}, "there is no text in .*bad.txt"),
        (b"abc", {"label": "y"}, "label names a column"),
        (b"abc", {"unit": "word"}, "unit"),
        (b"abc", {"encoding": "utf-99"}, "no encoding 'utf-99'"),
        (b"abc", {"vocabulary": 10}, "at least 260"),
        (b"abc", {"most": 1}, "at least 2"),
        (b"abc", {"tokenizer": {"model": 1}}, "not in the format"),
    ],
)
def test_text_that_cannot_be_read(tmp_path: Path, raw: bytes, options: dict[str, Any], said: str) -> None:
    (tmp_path / "bad.txt").write_bytes(raw)
    with pytest.raises((DataError, OptionError), match=said):
        opened(tmp_path / "bad.txt", **options)


def test_other_encodings_are_read_where_they_are_named(tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-16", "cp1252"):
        (tmp_path / "x.txt").write_text(DOCUMENTS[1], encoding=encoding)
        source = opened(tmp_path / "x.txt", encoding=encoding)
        assert told(source) == [DOCUMENTS[1]]
        assert modality("text").spec_of(source).reading()["encoding"] == encoding
    (tmp_path / "x.txt").write_text("fine")
    (tmp_path / "y.txt").write_text(DOCUMENTS[1], encoding="latin-1")
    with pytest.raises(DataError, match=r"y.txt' is not utf-8 text: byte 5 "):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        ('{"text": "a"}\n{"text": "b', {}, "bad.jsonl', line 2 is no JSON"),
        ('{"text": "a"}\n[1]', {}, "line 2 should be an object"),
        ('{"words": "a"}', {}, "has no field text.*it has words.*data.text"),
        ('{"text": "a"}\n{"txt": "b"}', {}, "'bad.jsonl:2' has no field 'text'"),
        (r'{"text": "ab\ud800"}', {}, r"character 2 of 'bad.jsonl:1' is U\+D800, half of a pair"),
        ('{"text": 3}', {}, "'text' should be text, not int"),
        ('{"text": "a", "label": null}', {}, "'label' is empty"),
        ('{"text": "a"}', {"label": "y"}, "no column 'y'; it has text"),
    ],
)
def test_lines_of_json_that_cannot_be_read(tmp_path: Path, lines: str, options: dict[str, Any], said: str) -> None:
    (tmp_path / "bad.jsonl").write_text(lines)
    with pytest.raises(DataError, match=said):
        opened(tmp_path / "bad.jsonl", **options)


def test_tables_and_lists_that_cannot_be_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2], "y": ["a", None]})
    (tmp_path / "cut.parquet").write_bytes(b"PAR1abc")
    (tmp_path / "latin.csv").write_bytes("text,label\nété,1\n".encode("latin-1"))
    (tmp_path / "semi.csv").write_text("text;label\na b;1\n")
    for data, options, said in (
        (frame[["n"]], {}, "has no column of text; it has n"),
        (frame, {"text": "n"}, "column 'n' holds int64 and no text"),
        (frame, {"text": "words"}, "has no column 'words'; it has n, y"),
        (pd.DataFrame({"text": ["a", "b"], "label": ["a", None]}), {}, "column 'label' has 1 empty"),
        (tmp_path / "cut.parquet", {}, "cannot read .*cut.parquet"),
        (tmp_path / "latin.csv", {}, "latin.csv.*UTF-8"),
        (tmp_path / "semi.csv", {}, r"looks like several; say --set data.delimiter=';'"),
        ([], {}, "no documents"),
        (["a", 3], {}, "document 1 should be text, not int"),
        ([{"text": "a"}, "b"], {}, "item 1 is str"),
        ((["a", "b", "c"], np.array([1.0, np.nan, 2.0])), {}, "NaN"),
        (np.zeros(3), {}, "cannot read text from ndarray"),
        (tmp_path / "missing.txt", {}, "there is no file or folder"),
    ):
        with pytest.raises(DataError, match=said):
            opened(data, **options)


def test_a_run_reads_data_without_its_labels(tmp_path: Path) -> None:
    rows = [{"body": text, "stars": i, "shop": i % 2} for i, text in enumerate(DOCUMENTS)]
    source = opened(rows, text="body", label="stars", group="shop")
    spec = modality("text").spec_of(source)
    (tmp_path / "new.txt").write_text("\n".join(DOCUMENTS))
    for data in (tmp_path / "new.txt", DOCUMENTS, [{"body": text} for text in DOCUMENTS]):
        again = opened(data, **spec.reading())
        assert again.labels is None
        assert told(again) == DOCUMENTS
    assert opened(rows, **spec.reading()).labels.tolist() == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="no column 'stars'"):
        opened([{"body": "a b"}], text="body", label="stars")


def test_what_is_taken_for_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one two")
    assert recognised(tmp_path / "a.txt") == ["text"]
    assert recognised(tmp_path) == ["text"]
    assert recognised(["good", "bad film"])[0] == "text"
    assert recognised((["good", "bad film"], [1, 0]))[0] == "text"
    assert recognised(["a.txt", "b.txt"])[0] == "text"
    assert recognised(["a.wav", "b.wav"])[0] == "audio"
    frame = pd.DataFrame({"text": ["a", "b"]})
    assert recognised(frame)[0] == "table"
    assert "text" in recognised(frame)
    (tmp_path / "a.png").touch()
    assert modality("text").recognises([str(tmp_path / "a.png")]) == 0


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tacit\[text\]'"):
        opened(["a b c"])


def test_a_stored_codec_is_the_same_codec() -> None:
    codec = opened(DOCUMENTS * 3).codec
    again = codec_of(json.loads(json.dumps(codec.stored)))
    for text in [*DOCUMENTS, "something else"]:
        ((one, cut),), ((two, _),) = next(codec.encode([text], 50)), next(again.encode([text], 50))
        assert np.array_equal(one, two)
        assert not cut
    assert (again.size, again.mask) == (codec.size, codec.mask)
