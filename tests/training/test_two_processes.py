"""Two processes with half the batch each train the weights of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tacit import registry
from tacit.files import read_json
from tacit.options import parameters

# Every method is compared step by step in tests/methods; here the whole command, for each sort of state there is: a
# teacher, statistics of the batch, tokens, a queue, prototypes, a weight a sample. One of them always: processes take
# long to start.
METHODS = [
    "byol",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("barlow-twins", "masked-autoencoder", "moco-v2", "swav", "diet")
    ),
]

LAUNCHER = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d"]
LAUNCHER += ["--rdzv-endpoint=localhost:0"]


@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_give_the_same_weights(
    method: str, tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    np.save(tmp_path / "x.npy", small_images[0])
    words = ["-m", "tacit", "pretrain", str(tmp_path / "x.npy"), "--method", method, "--steps", "10"]
    words += ["--batch-size", "16", "--quiet"]
    # in float64, so that rounding stays small where large gradients at the start amplify it from step to step
    for option in ("precision=64-true", "accelerator=cpu", "lr=0.01", "optimizer=sgd", "log_every=1"):
        words += ["--set", option]
    kind = registry.find(method, "method")
    if not kind.tokens:
        words += ["--encoder", "convnet", "--set", "encoder.norm=group"]
    if "norm" in parameters(kind, skip=1):
        words += ["--set", "method.norm=layer"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    one, two = tmp_path / "one", tmp_path / "two"
    subprocess.run([sys.executable, *words, "--out", str(one)], env=environment, check=True)
    several = ["--set", "devices=2", "--set", "strategy=ddp", "--out", str(two)]
    subprocess.run([sys.executable, *LAUNCHER, *words, *several], env=environment, check=True, capture_output=True)
    first, second = load_file(one / "method.safetensors"), load_file(two / "method.safetensors")
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-6, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
    assert {value.dtype for value in first.values() if value.is_floating_point()} == {torch.float64}
    losses = [np.genfromtxt(run / "metrics.csv", delimiter=",", names=True)["loss"] for run in (one, two)]
    np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.slow
def test_a_budget_in_seconds_ends_both_at_the_same_step(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    """With a clock each, one process would wait for ever for the other's last step."""
    np.save(tmp_path / "x.npy", small_images[0])
    words = ["-m", "tacit", "pretrain", str(tmp_path / "x.npy"), "--method", "byol", "--time", "4s", "--quiet"]
    words += ["--batch-size", "16", "--set", "accelerator=cpu", "--set", "devices=2", "--set", "strategy=ddp"]
    subprocess.run(
        [sys.executable, *LAUNCHER, *words, "--out", str(tmp_path / "run")],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    assert read_json(tmp_path / "run" / "summary.json")["status"] == "finished"
