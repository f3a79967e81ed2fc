"""A run that is killed at any moment ends as one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.errors import OptionError, RunError
from tacit.training import checkpoints

STEPS = 24

# The run kills itself: with KILL_STEP before that step's update, with KILL_WRITE in the middle of that checkpoint's
# write, with KILL_RENAME just before it would have been put in place.
KILLER = """
import os, signal, sys
import torch
from tacit import cli, files
from tacit.training import checkpoints, loop

def kill(): os.kill(os.getpid(), signal.SIGKILL)

at = {k: int(v) for k, v in os.environ.items() if k.startswith("KILL_")}
count = {"step": 0, "write": 0}
step = torch.optim.AdamW.step
def counted(self, *a, **k):
    count["step"] += 1
    if count["step"] == at.get("KILL_STEP"): kill()
    return step(self, *a, **k)
torch.optim.AdamW.step = counted
write = checkpoints.write
def half(path, fill):
    count["write"] += 1
    if count["write"] == at.get("KILL_WRITE"):
        with open(path.with_name(f".{path.name}.part"), "wb") as file:
            file.write(b"x" * 1000); file.flush(); kill()
    if count["write"] == at.get("KILL_RENAME"):
        os.replace = lambda *a: kill()
    return write(path, fill)
checkpoints.write = half
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, small_images: tuple[np.ndarray, np.ndarray]) -> Path:
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=small_images[0], y=small_images[1])
    return path


def command(data: Path, out: Path, method: str, *more: str, **kill: int) -> int:
    words = [
        "pretrain",
        str(data),
        "--method",
        method,
        "--out",
        str(out),
        "--steps",
        str(STEPS),
        "--batch-size",
        "16",
    ]
    words += [
        "--set",
        "checkpoint_every=5",
        "--set",
        "log_every=2",
        "--set",
        "watch_every=7",
        "--quiet",
        *more,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | {f"KILL_{k.upper()}": str(v) for k, v in kill.items()}
    return subprocess.run([sys.executable, "-c", KILLER, *words], env=environment, check=False).returncode


def same(a: Path, b: Path) -> None:
    for name in ("method.safetensors", "encoder.safetensors", "metrics.csv", "watch.csv"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.mark.parametrize("method", ["byol", pytest.param("mixed-barlow-twins", marks=pytest.mark.slow)])
def test_kill_9_at_several_points(data: Path, tmp_path: Path, method: str) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert command(data, whole, method) == 0
    assert command(data, broken, method, step=3) == -signal.SIGKILL
    assert command(data, broken, method, "--resume", step=9) == -signal.SIGKILL
    assert command(data, broken, method, "--resume", write=2) == -signal.SIGKILL
    assert command(data, broken, method, "--resume", rename=1) == -signal.SIGKILL
    assert command(data, broken, method, "--resume") == 0
    same(whole, broken)


def test_a_damaged_last_checkpoint_costs_only_its_steps(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    options = {"steps": STEPS, "batch_size": 16, "checkpoint_every": 5, "quiet": True}
    whole = tacit.pretrain(small_images[0], "simclr", out=tmp_path / "a", **options)  # type: ignore[arg-type]
    tacit.pretrain(small_images[0], "simclr", out=tmp_path / "b", **options)  # type: ignore[arg-type]
    last = max((tmp_path / "b" / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:5000])
    with pytest.warns(UserWarning, match=last.name):
        again = tacit.pretrain(small_images[0], "simclr", out=tmp_path / "b", resume=True, **options)  # type: ignore[arg-type]
    same(whole.folder, again.folder)


def test_resuming_takes_what_is_not_given_from_the_run(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    x = small_images[0]
    tacit.pretrain(x, "vicreg", steps=4, batch_size=8, out=tmp_path / "r", seed=3, lr=1e-3, variance=10.0, quiet=True)
    run = tacit.pretrain(x, out=tmp_path / "r", resume=True, steps=6, quiet=True)
    assert run.config["method"]["name"] == "vicreg"
    assert run.config["method"]["options"]["variance"] == 10.0
    assert run.config["training"]["batch_size"] == 8
    assert run.summary["steps"] == 6
    with pytest.raises(OptionError, match=r"batch_size: was 8, now 16"):
        tacit.pretrain(x, out=tmp_path / "r", resume=True, batch_size=16, quiet=True)
    with pytest.raises(OptionError, match=r"data.count"):
        tacit.pretrain(x[:50], out=tmp_path / "r", resume=True, quiet=True)
    with pytest.raises(RunError, match="already holds a run"):
        tacit.pretrain(x, out=tmp_path / "r", quiet=True)


def test_the_same_seed_gives_the_same_run_and_another_another(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    options = {"steps": 6, "batch_size": 16, "quiet": True}
    a, b, c = (
        tacit.pretrain(small_images[0], out=tmp_path / name, seed=seed, **options)  # type: ignore[arg-type]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    same(a.folder, b.folder)
    assert a.metrics["loss"] != c.metrics["loss"]


def test_ctrl_c_leaves_a_checkpoint_and_resumes_exactly(data: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert command(data, whole, "simclr") == 0
    interrupt = KILLER.replace("signal.SIGKILL", "signal.SIGINT")
    words = ["pretrain", str(data), "--method", "simclr", "--out", str(stopped), "--steps", str(STEPS)]
    words += [
        "--batch-size",
        "16",
        "--set",
        "checkpoint_every=5",
        "--set",
        "log_every=2",
        "--set",
        "watch_every=7",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "KILL_STEP": "8"}
    done = subprocess.run(
        [sys.executable, "-c", interrupt, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130
    assert "interrupted after step 8" in done.stderr
    assert "--resume" in done.stderr
    assert checkpoints.latest(stopped / "checkpoints")["step"] == 8  # type: ignore[index]
    assert command(data, stopped, "simclr", "--resume") == 0
    same(whole, stopped)
