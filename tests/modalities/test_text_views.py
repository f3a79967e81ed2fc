"""Views of text, against plain loops over words."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from tacit.errors import OptionError
from tacit.modalities import open_source, text
from tacit.modalities.text import changes
from tacit.modalities.text.reading import Texts
from tacit.modalities.text.synthetic import documents
from tacit.modalities.text.views import Marked, raw
from tacit.parts.draws import Draws

LENGTH = torch.tensor([30, 41, 9, 1])


def view(rows: int = 4) -> dict[str, Tensor]:
    """Documents whose ids are 10, 11, ..., and whose words have one to three tokens."""
    length = LENGTH.repeat(-(-rows // 4))[:rows]
    place = torch.arange(45).expand(rows, -1)
    marks = torch.zeros(rows, 45, dtype=torch.int64)
    marks[:, torch.tensor([0, 1, 4, 5, 7, 8, 9, 12, 14, 15, 18, 20, 21, 24, 27, 28, 30, 33, 36, 39, 40])] = 1
    marks[:, [0, 15, 30]] = 2
    inner = place < length[:, None]
    x = torch.stack((place + 10, marks), 1).masked_fill(~inner[:, None], 0)
    full = torch.ones(rows, dtype=torch.int64)
    return {"x": x, "length": length, "mask": 2 * full, "vocabulary": 1000 * full}


def real(made: dict[str, Tensor], i: int) -> list[int]:
    return made["x"][i, 0, : int(made["length"][i])].tolist()


def by_word(made: dict[str, Tensor], i: int) -> list[tuple[int, ...]]:
    """The words of the view above, by the ids that begin them."""
    begins = {10 + int(p) for p in torch.nonzero(view()["x"][1, 1])[:, 0]}
    found: list[list[int]] = []
    for token in real(made, i):
        if token in begins or not found:
            found.append([])
        found[-1].append(token)
    return [tuple(word) for word in found]


ALL = (
    changes.Span(),
    changes.SpanDeletion(),
    changes.WordDrop(),
    changes.Reorder(),
    changes.WordMask(share=0.4),
    changes.Replace(share=0.4),
)


@pytest.mark.parametrize("change", ALL, ids=lambda c: c.name())
def test_a_change_repeats_and_leaves_its_input_and_padding_alone(change: changes.Change) -> None:
    before = view(40)
    kept = before["x"].clone()
    one, two = (change(before, Draws.seeded(3)) for _ in range(2))
    assert torch.equal(one["x"], two["x"])
    assert torch.equal(before["x"], kept)
    assert one["x"].shape != kept.shape or not torch.equal(one["x"], kept)
    assert int(one["length"].min()) >= 1
    beyond = torch.arange(one["x"].shape[2]) >= one["length"][:, None, None]
    assert not one["x"].masked_select(beyond).any()
    longer = before | {"x": torch.nn.functional.pad(before["x"], (0, 20))}
    padded = change(longer, Draws.seeded(3))
    assert torch.equal(padded["x"][..., : one["x"].shape[2]], one["x"])
    assert torch.equal(padded["length"], one["length"])


def test_spans_and_what_is_left_of_a_deletion() -> None:
    before = view(400)
    inside = changes.Span((0.3, 0.6))(before, Draws.seeded(1))
    for i in range(400):
        size, length = int(inside["length"][i]), int(before["length"][i])
        assert max(1, 0.3 * length - 1) <= size <= max(1, 0.6 * length + 1)
        assert real(inside, i) == list(range(real(inside, i)[0], real(inside, i)[0] + size))
    left = changes.SpanDeletion((0.3, 0.6))(before, Draws.seeded(1))
    gaps = 0
    for i in range(400):
        ids, length = real(left, i), int(before["length"][i])
        steps = np.diff(ids)
        assert (steps > 1).sum() <= 1, "what is missing is one stretch"
        assert max(1, 0.4 * length - 1) <= len(ids) <= 0.7 * length + 1
        gaps += int((steps > 1).sum())
    assert gaps > 150


def test_words_are_dropped_whole_and_with_the_asked_probability() -> None:
    before = view(2000)
    after = changes.WordDrop(share=0.3)(before, Draws.seeded(1))
    whole = set(by_word(before, 1))
    counts = []
    for i in range(1, 2000, 4):
        left = by_word(after, i)
        assert set(left) <= whole
        assert left == sorted(left)
        counts.append(len(left) / len(whole))
    assert np.mean(counts) == pytest.approx(0.7, abs=0.02)
    assert all(real(after, i) == [10] for i in range(3, 2000, 4)), "one word always stays"


def test_reordered_words_stay_whole_and_near() -> None:
    before = view(400)
    after = changes.Reorder(reach=3)(before, Draws.seeded(1))
    far = 0
    for i in range(1, 400, 4):
        old, new = by_word(before, i), by_word(after, i)
        assert Counter(old) == Counter(new)
        moved = [abs(old.index(word) - place) for place, word in enumerate(new)]
        far = max(far, max(moved))
        assert max(moved) <= 3
    assert far == 3


def test_hidden_words_are_whole_and_their_share_is_right() -> None:
    before = view(2000)
    after = changes.WordMask(share=0.25)(before, Draws.seeded(1))
    old, new = before["x"][1::4, 0, :41], after["x"][1::4, 0, :41]
    hidden = new == 2
    assert torch.equal(new[~hidden], old[~hidden])
    number = changes.words(before)[1, :41]
    for word in range(int(number.max()) + 1):
        of_word = hidden[:, number == word]
        assert torch.equal(of_word.all(1), of_word.any(1))
    assert float(hidden.float().mean()) == pytest.approx(0.25, abs=0.02)


def test_replacements_are_of_the_vocabulary() -> None:
    before = view(2000) | {"vocabulary": torch.full((2000,), 8)}
    after = changes.Replace(share=0.25)(before, Draws.seeded(1))
    new = after["x"][1::4, 0, :41]
    changed = new != before["x"][1::4, 0, :41]
    assert float(changed.float().mean()) == pytest.approx(0.25, abs=0.02)
    assert set(new[changed].tolist()) == {3, 4, 5, 6, 7}


@pytest.mark.parametrize(
    "make",
    [
        lambda: changes.Span((0.0, 0.5)),
        lambda: changes.SpanDeletion((0.5, 1.5)),
        lambda: changes.WordDrop(1.0),
        lambda: changes.Reorder(0),
        lambda: changes.WordMask(-0.1),
        lambda: changes.Replace(2.0),
    ],
)
def test_impossible_strengths_are_refused(make: object) -> None:
    with pytest.raises(OptionError):
        make()  # type: ignore[operator]


TEXTS = [
    "One two three. Four five! Six seven eight nine? Ten.",
    "Alone in one sentence",
    "x",
    "A b.\nC d\nE f. G 2.5 h",
]


@pytest.fixture(scope="module")
def source() -> Texts:
    opened = open_source(TEXTS * 50, "text")
    assert isinstance(opened, Texts)
    return opened


def sentences_of(source: Texts) -> list[list[str]]:
    return [
        ["One two three.", "Four five!", "Six seven eight nine?", "Ten."],
        ["Alone in one sentence"],
        ["x"],
        ["A b.", "C d", "E f.", "G 2.5 h"],
    ]


def told(source: Texts, made: dict[str, Tensor], i: int) -> str:
    return source.codec.decode(made["x"][i, : int(made["length"][i])].tolist())


def test_marks_begin_words_and_sentences(source: Texts) -> None:
    made = Marked(text.spec_of(source))(source.batch(torch.arange(4)))
    for i, wanted in enumerate(sentences_of(source)):
        ids, marks = made["x"][i, :, : int(made["length"][i])]
        edges = [*torch.nonzero(marks == 2)[:, 0].tolist(), len(ids)]
        parts = [source.codec.decode(ids[a:b].tolist()) for a, b in pairwise(edges)]
        assert parts == wanted


def test_neighbouring_sentences_are_neighbours(source: Texts) -> None:
    spec, batch = text.spec_of(source), source.batch(torch.arange(200))
    first, second = text.make_views("sentences", spec)(batch, Draws.seeded(1))
    seen = set()
    for i in range(200):
        one, two = told(source, first, i), told(source, second, i)
        whole = sentences_of(source)[i % 4]
        if len(whole) > 1:
            assert whole.index(two) == whole.index(one) + 1
            seen.add((i % 4, one))
        elif i % 4 == 1:
            assert f"{one}{'' if two[0] not in 'io' else ' '}{two}".replace(" ", "") == whole[0].replace(" ", "")
        else:
            assert one == two == "x"
    assert len(seen) == 6


def test_spans_follow_the_paper(source: Texts) -> None:
    made = documents(400, 0, sentences=(12, 12))
    long = open_source(made.texts, "text")
    spec, batch = text.spec_of(long), long.batch(torch.arange(400))
    anchor, positive, third = text.make_views("spans", spec, count=3, low=8, high=40)(batch, Draws.seeded(1))
    touching = 0
    for i in range(400):
        ids = batch["x"][i].long()
        for part in (anchor, positive, third):
            start, size = int(part["start"][i]), int(part["length"][i])
            assert 8 <= size <= 40
            assert torch.equal(part["x"][i, :size], ids[start : start + size])
        a, p = int(anchor["start"][i]), int(positive["start"][i])
        assert p + int(positive["length"][i]) >= a
        assert p <= a + int(anchor["length"][i])
        touching += p + int(positive["length"][i]) == a
    # means of beta(4, 2) and beta(2, 4) over 33 lengths
    assert float(anchor["length"].float().mean()) == pytest.approx(8 + 33 * 4 / 6 - 0.5, abs=1)
    assert float(positive["length"].float().mean()) == pytest.approx(8 + 33 * 2 / 6 - 0.5, abs=1)
    short = open_source(TEXTS * 5, "text")
    whole = text.make_views("spans", text.spec_of(short), low=64)(short.batch(torch.arange(4)), Draws.seeded(2))
    assert all(torch.equal(part["length"], whole[0]["length"]) for part in whole)
    for options in ({"count": 1}, {"low": 9, "high": 3}):
        with pytest.raises(OptionError):
            text.make_views("spans", spec, **options)


def test_neighbours_have_no_token_in_common(source: Texts) -> None:
    spec, batch = text.spec_of(source), source.batch(torch.arange(200))
    first, second = text.make_views("neighbours", spec, share=0.5)(batch, Draws.seeded(1))
    for i in range(0, 200, 4):
        assert int(second["start"][i]) == int(first["start"][i]) + int(first["length"][i])
        whole = batch["x"][i].long()
        for part in (first, second):
            at, size = int(part["start"][i]), int(part["length"][i])
            assert torch.equal(part["x"][i, :size], whole[at : at + size])


def test_the_whole_document_twice(source: Texts) -> None:
    spec, batch = text.spec_of(source), source.batch(torch.arange(4))
    one, two = text.make_views("twice", spec)(batch, Draws.seeded(1))
    (plain,) = text.evaluation_view(spec)(batch)
    assert torch.equal(one["x"], two["x"])
    assert torch.equal(one["x"], plain["x"])
    assert torch.equal(plain["x"], batch["x"].long())
    assert [told(source, plain, i) for i in range(4)] == TEXTS


def test_raw_counts_tokens() -> None:
    x = torch.tensor([[5, 5, 9, 2000, 0, 0], [7, 0, 0, 0, 0, 0]])
    found = raw({"x": x, "length": torch.tensor([4, 1])})
    assert found.shape == (2, 1024)
    assert found[0, 5] == pytest.approx(np.log(3))
    assert found[0, 9] == pytest.approx(np.log(2))
    assert float(found[0].sum()) == pytest.approx(np.log(3) + 2 * np.log(2))
    assert float(found[1].sum()) == pytest.approx(np.log(2))
    assert not found[:, 0].any(), "padding is no token"
