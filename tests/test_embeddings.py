"""Embeddings in files: what a row is called, and how much memory it takes to write many."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import tacit
from tacit.curating.output import write_chosen
from tacit.curation.selection import Selection
from tacit.embeddings import write_embeddings
from tacit.sources import Stored, Whole


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tacit.Run:
    x = np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)
    out = tmp_path_factory.mktemp("export") / "run"
    return tacit.pretrain(x, steps=1, batch_size=16, out=out, quiet=True, options={"encoder.width": 4})


def test_rows_of_an_array_are_numbered(run: tacit.Run, tmp_path: Path) -> None:
    x = np.random.default_rng(1).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    table = pq.read_table(tacit.embed(run, x, tmp_path / "e.parquet", batch_size=8))
    assert str(table.schema.field("index").type) == "int64"
    assert table["index"].to_pylist() == list(range(20))
    with np.load(tacit.embed(run, x, tmp_path / "e.npz", batch_size=8), allow_pickle=False) as stored:
        assert stored["index"].dtype == np.int64
        assert stored["index"].tolist() == list(range(20))
        np.testing.assert_array_equal(stored["embedding"], np.array(table["embedding"].to_pylist(), np.float32))
    with open(tacit.embed(run, x, tmp_path / "e.csv"), encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["index", "e0"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(20)]


@pytest.mark.parametrize(("names", "kind"), [(["7", "12", "3"], np.int64), (["u1", "2", "two words"], np.str_)])
def test_rows_have_the_names_of_samples_that_are_no_files(names: list[str], kind: type, tmp_path: Path) -> None:
    source = Stored("events", Whole(torch.zeros(3, 2)), {}, names=names)
    rows = torch.arange(6.0).view(3, 2)
    wanted = np.asarray(names).astype(kind)
    for ending in ("parquet", "csv", "npz"):
        write_embeddings(tmp_path / f"e.{ending}", source, iter([rows[:2], rows[2:]]))
    assert pq.read_table(tmp_path / "e.parquet")["index"].to_pylist() == wanted.tolist()
    with np.load(tmp_path / "e.npz", allow_pickle=False) as stored:
        assert stored["index"].tolist() == wanted.tolist()
    with open(tmp_path / "e.csv", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)] == ["index", *names]
    chosen = Selection(np.array([True, False, True]), np.arange(3.0), "score", np.full(3, -1))
    assert pq.read_table(write_chosen(tmp_path / "c.parquet", chosen, names, "index"))["index"].to_pylist() == (
        wanted.tolist()
    )


# Memory of its own that the command takes at most. Pages of the mapped file do not count: the system takes them back
# whenever it likes.
PEAK = """
import pathlib, sys, threading
from tacit import cli
import tacit.api, torch
from tacit import embeddings

def own():
    rows = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("RssAnon")) / 1024

peak, done = own(), threading.Event()
def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, own())
thread = threading.Thread(target=watch)
thread.start()
code = cli.main(sys.argv[1:])
done.set()
thread.join()
print(peak, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's account of memory")
def test_memory_does_not_grow_with_the_data(run: tacit.Run, tmp_path: Path) -> None:
    peaks = []
    for count in (5_000, 60_000):
        path = tmp_path / f"{count}.npy"
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, 3, 32, 32)).flush()
        words = ["embed", str(run.folder), str(path), "-o", str(tmp_path / f"{count}.parquet")]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *words], env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(float(done.stderr.split()[-1]))
        assert pq.read_metadata(tmp_path / f"{count}.parquet").num_rows == count
    assert peaks[1] - peaks[0] < 60  # MiB; the pixels alone take 161 more
