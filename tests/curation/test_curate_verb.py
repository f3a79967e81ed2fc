"""``tacit curate`` from the outside: inputs, outputs, the page, restarts, errors."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tacit
from tacit.cli import main
from tacit.curating.store import Store
from tacit.curating.tables import read_table
from tacit.curation import sas
from tacit.errors import DataError, OptionError, RunError
from tacit.methods.base import embed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small_images: tuple[np.ndarray, np.ndarray]) -> Path:
    from tacit.modalities.image.synthetic import image_folder

    path = tmp_path_factory.mktemp("digits")
    images, labels = small_images
    return image_folder(path, images, labels, [f"<script>{i}" if i == 3 else str(i) for i in range(10)])


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    options = {"encoder.width": 4, "hidden": 16, "out": 8}
    return tacit.pretrain(folder, steps=3, batch_size=16, out=out, quiet=True, options=options).folder


@pytest.fixture(scope="module")
def table(folder: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tacit.embed(run, folder, tmp_path_factory.mktemp("tables") / "digits.parquet")


def test_all_outputs_say_the_same(table: Path, tmp_path: Path) -> None:
    x = np.stack(pq.read_table(table)["embedding"].to_pylist()).astype(np.float32)
    expected = sas(x, 0.25, classes=4)
    assert main(["curate", str(table), "--method", "sas", "--keep", "25%", "--set", "classes=4", "--quiet",
                 "-o", str(tmp_path / "a.parquet")]) == 0  # fmt: skip
    found = pq.read_table(tmp_path / "a.parquet")
    assert found.column_names == ["path", "score", "kept", "group"]
    assert found["kept"].to_pylist() == expected.kept.tolist()
    np.testing.assert_allclose(found["score"].to_numpy(), expected.scores, rtol=1e-6)
    names = found["path"].to_pylist()
    assert names == pq.read_table(table)["path"].to_pylist()
    for ending in ("csv", "npz", "txt"):
        tacit.curate(table, "sas", tmp_path / f"a.{ending}", keep="0.25", classes=4, quiet=True)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines == [name for name, kept in zip(names, expected.kept, strict=True) if kept]
    with np.load(tmp_path / "a.npz") as stored:
        np.testing.assert_array_equal(stored["kept"], expected.kept)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "path,score,kept,group"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.npz", "a.parquet", "a.txt"]


def test_pictures_of_embeddings_come_from_their_data(table: Path, folder: Path, tmp_path: Path) -> None:
    words = ["curate", str(table), "--method", "near-duplicates", "--set", "threshold=0.99", "--quiet"]
    words += ["-o", str(tmp_path / "n.txt"), "--report", str(tmp_path / "n.html")]
    assert main(words) == 0
    assert "tile thumbs" not in (tmp_path / "n.html").read_text()
    assert main([*words, "--force", "--pictures", str(folder)]) == 0
    page = (tmp_path / "n.html").read_text()
    assert "tile thumbs" in page
    assert "<script>3" not in page
    others = tmp_path / "others.npy"
    np.save(others, np.random.default_rng(0).integers(0, 255, (5, 8, 8), np.uint8))
    found = tacit.curate(
        table, "sas", tmp_path / "o.csv", keep=5, report=tmp_path / "o.html", pictures=others, quiet=True
    )
    assert "none has the name" in found.notes[0]


def test_tables_of_embeddings_in_every_format(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    pq.write_table(pa.table({"vector": list(x), "id": [f"s{i}" for i in range(40)]}), tmp_path / "t.parquet")
    np.savez(tmp_path / "t.npz", embeddings=x)
    header = "index," + ",".join(f"e{i}" for i in range(5))
    rows = [f"{i}," + ",".join(map(repr, row.tolist())) for i, row in enumerate(x)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    expected = sas(x, 10, classes=2)
    for ending, key in (("parquet", "path"), ("npz", "index"), ("csv", "index")):
        out = tmp_path / f"{ending}.npz"
        chosen = tacit.curate(tmp_path / f"t.{ending}", "sas", out, keep=10, classes=2, quiet=True)
        np.testing.assert_array_equal(chosen.kept, expected.kept)
        with np.load(out) as stored:
            assert key in stored.files


def test_tables_of_other_programs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    rows = [f"{i},{a!r},{b!r}" for i, (a, b) in enumerate(x.tolist())]
    (tmp_path / "t.csv").write_text("\n".join([",e0,e1", *rows]) + "\n")  # an index without a name, as pandas has it
    read = read_table(tmp_path / "t.csv", Store(tmp_path / "csv", 0))
    np.testing.assert_array_equal(read.x, x)
    assert read.named_by == "index"
    ragged = [[1.0], [1.0, 2.0, 3.0], [1.0, 2.0]]  # two each on average
    pq.write_table(pa.table({"embedding": ragged}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"t\.parquet.*differ in length"):
        read_table(tmp_path / "t.parquet", Store(tmp_path / "parquet", 0))


def test_raw_data_stand_for_embeddings_by_their_components(folder: Path, tmp_path: Path) -> None:
    chosen = tacit.curate(folder, "balanced", tmp_path / "b.csv", keep=0.3, quiet=True, report=tmp_path / "b.html")
    assert chosen.kept.sum() == 28
    assert "principal components" in chosen.notes[0]
    again = tacit.curate(folder, "balanced", tmp_path / "c.csv", keep=0.3, quiet=True)
    np.testing.assert_array_equal(chosen.kept, again.kept)
    page = (tmp_path / "b.html").read_text()
    assert "background-image:url(data:image/png" in page
    assert "<script>3" not in page
    assert "&lt;script&gt;3" in page
    assert "chart-map" in page


def test_a_run_embeds_what_simcore_compares(folder: Path, run: Path, tmp_path: Path) -> None:
    chosen = tacit.curate(
        folder, "simcore", tmp_path / "s.txt", run=run, target=folder / "1", keep=12, clusters=3, quiet=True,
        options={"epochs": 4, "passes": 0.1},
    )  # fmt: skip
    assert chosen.facts["epochs"] == min(4, max(1, len(chosen.kept) // 120))
    lines = (tmp_path / "s.txt").read_text().splitlines()
    assert len(lines) == 12 == chosen.kept.sum()
    assert np.mean([line.startswith("1/") for line in lines]) > 0.3


def test_redundancy_compares_inside_folders(tmp_path: Path, folder: Path) -> None:
    chosen = tacit.curate(folder, "redundancy", tmp_path / "r.csv", groups="folder", quiet=True, threshold=10)
    assert chosen.facts["groups"] == 10
    assert not chosen.kept.all()
    whole = tacit.curate(folder, "redundancy", tmp_path / "w.csv", quiet=True, threshold=10, report=tmp_path / "w.html")
    assert whole.kept.sum() <= chosen.kept.sum()
    assert "What stands for what" in (tmp_path / "w.html").read_text()
    by_information = tacit.curate(folder, "redundancy", tmp_path / "i.csv", signature="information", quiet=True)
    assert by_information.facts["signature"] == "information"


def test_distilled_images_and_training_on_them(folder: Path, run: Path, tmp_path: Path) -> None:
    from tacit.curation import Student, train_on_distilled

    out = tmp_path / "d.npz"
    options = {"steps": 4, "pool": 2, "age": 3}
    found = tacit.curate(
        folder, "krr-st", out, keep=6, run=run, options=options, quiet=True, report=tmp_path / "d.html"
    )
    with np.load(out) as stored:
        x, y = stored["x"], stored["y"]
    assert x.shape == (6, 1, 20, 20)
    assert y.shape == (6, 32)
    seen = (x - tacit.load(run).config["spec"]["mean"][0]) / tacit.load(run).config["spec"]["std"][0]
    np.testing.assert_allclose(seen, found.x.numpy(), atol=1e-4)
    assert "synthetic image 5" in (tmp_path / "d.html").read_text()
    assert not train_on_distilled(seen, y, Student(1, 4), epochs=2).training


@pytest.mark.parametrize("kind", ["table", "series", "text", "graph"])
def test_other_kinds_of_data(kind: str, tmp_path: Path) -> None:
    data = importlib.import_module(f"tacit.modalities.{kind}.synthetic").sample(40, 0)
    out = tmp_path / "o.csv"
    chosen = tacit.curate(data, "sas", out, keep=0.5, classes=2, modality=kind, quiet=True, report=tmp_path / "o.html")
    assert 0.4 * len(chosen.kept) <= chosen.kept.sum() <= 0.5 * len(chosen.kept)
    assert out.read_text().startswith("index,")
    assert "thumbs" in (tmp_path / "o.html").read_text()
    with pytest.raises(OptionError, match=f"these are {kind} data"):
        tacit.curate(data, "redundancy", tmp_path / "p.csv", modality=kind, quiet=True)


KILLER = """
import os, signal, sys
from tacit import cli
from tacit.curating import store
put = store.Store.put
def counted(self, start, rows):
    put(self, start, rows)
    if self.done >= 60:
        with open(self._file, "ab") as file:
            file.write(b"torn")
        os.kill(os.getpid(), signal.SIGKILL)
store.Store.put = counted
from tacit.curating import material
material.BATCH = 32
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_killed_curate_goes_on(folder: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "k.csv"
    words = [
        "curate",
        str(folder),
        "--method",
        "sas",
        "--keep",
        "10",
        "--set",
        "classes=3",
        "--run",
        str(run),
        "--quiet",
    ]
    done = subprocess.run([sys.executable, "-c", KILLER, *words, "-o", str(out)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    state = json.loads((tmp_path / ".k.csv.part" / "state.json").read_text())
    assert state["rows"] == 64
    seen: list[int] = []
    monkeypatch.setattr("tacit.run.embed", lambda net, view: seen.append(len(view["x"])) or embed(net, view))
    assert main([*words, "-o", str(out)]) == 0
    assert sum(seen) == 96 - 64
    assert main([*words, "-o", str(tmp_path / "whole.csv")]) == 0
    assert out.read_text() == (tmp_path / "whole.csv").read_text()
    assert not (tmp_path / ".k.csv.part").exists()


def test_saved_rows_of_other_work_are_not_taken(tmp_path: Path) -> None:
    from tacit.curating.store import Store

    first = Store(tmp_path / "s", ["a"])
    first.begin(3)
    first.put(0, np.ones((4, 3), np.float32))
    first.put(2, np.full((4, 3), 2, np.float32))
    np.testing.assert_array_equal(Store(tmp_path / "s", ["a"]).rows()[:, 0], [1, 1, 1, 1, 2, 2])
    assert Store(tmp_path / "s", ["b"]).done == 0
    with pytest.raises(DataError, match="3 dimensions"):
        first.put(6, np.ones((1, 2), np.float32))


def test_errors_name_what_is_wrong(folder: Path, table: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"

    def wrong(error: type[Exception], what: str, *args: object, **options: object) -> None:
        with pytest.raises(error, match=what):
            tacit.curate(*args, quiet=True, **options)  # type: ignore[arg-type]

    wrong(OptionError, "unknown curation 'sass'; did you mean 'sas'", folder, "sass", out)
    wrong(OptionError, "a part of training", folder, "dynamic-pruning", out)
    wrong(OptionError, "must end in", folder, "sas", tmp_path / "x.json", keep=0.5)
    wrong(OptionError, "must end in .npz", folder, "krr-st", out, keep=5, run=run)
    wrong(OptionError, "needs --keep", folder, "sas", out)
    wrong(OptionError, "share such as 20%", folder, "sas", out, keep="a fifth")
    wrong(OptionError, "clases", folder, "sas", out, keep=0.5, clases=3)
    wrong(OptionError, "argument of its own", folder, "sas", out, keep=0.5, options={"seed": 3})
    wrong(OptionError, "embeddings already", table, "sas", out, keep=0.5, run=run)
    wrong(OptionError, "nothing to read it as", table, "sas", out, keep=0.5, modality="image")
    wrong(OptionError, "needs --target", folder, "simcore", out)
    wrong(OptionError, "only simcore", folder, "sas", out, keep=0.5, target=folder)
    wrong(OptionError, "only redundancy", folder, "sas", out, keep=0.5, groups="folder")
    wrong(OptionError, "auto, folder, none", folder, "redundancy", out, groups="foldr")
    wrong(OptionError, "without --report", table, "sas", out, keep=0.5, pictures=folder)
    page = tmp_path / "page.html"
    wrong(OptionError, "drawn themselves", folder, "sas", out, keep=0.5, pictures=folder, report=page)
    wrong(OptionError, "only simcore", folder, "krr-st", tmp_path / "x.npz", keep=5, run=run, target=folder)
    wrong(OptionError, "compares no embeddings", folder, "redundancy", out, run=run)
    wrong(OptionError, "needs --run", folder, "krr-st", tmp_path / "x.npz", keep=5)
    wrong(OptionError, "compares pictures", table, "redundancy", out, signature="hash")
    wrong(OptionError, "must be one too", table, "simcore", out, target=folder)
    wrong(OptionError, "must end in .html", folder, "sas", out, keep=0.5, report=tmp_path / "x.pdf")
    out.write_text("mine")
    wrong(RunError, "exists", folder, "sas", out, keep=0.5)
    pq.write_table(pa.table({"embedding": [[1.0, 2.0], [1.0], [0.5, 0.5]]}), tmp_path / "ragged.parquet")
    wrong(DataError, "differ in length", tmp_path / "ragged.parquet", "sas", tmp_path / "y.csv", keep=0.5)
    pq.write_table(pa.table({"embedding": [[1.0, 2.0], [np.nan, 1.0]]}), tmp_path / "nan.parquet")
    wrong(DataError, "row 1 holds NaN", tmp_path / "nan.parquet", "near-duplicates", tmp_path / "y.csv")
