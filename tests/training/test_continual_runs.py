"""Continuing a finished run with new data, with the infinite schedule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import RunError
from tacit.training import checkpoints

LR = 2e-3
OPTIONS = {
    "schedule": "infinite",
    "lr": LR,
    "batch_size": 16,
    "log_every": 1,
    "quiet": True,
    "options": {"schedule.constant": 0.25, "schedule.floor": 0.01},
}
WARM, COOL, CONSTANT, END = 2, 6, 32, 40  # of 40 steps: 5%, 15%, then the last 20% anneal


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, small_images: tuple[np.ndarray, np.ndarray]) -> tacit.Run:
    out = tmp_path_factory.mktemp("continual") / "first"
    return tacit.pretrain(small_images[0], "byol", steps=END, out=out, **OPTIONS)  # type: ignore[arg-type]


def test_the_rate_goes_through_its_phases(first: tacit.Run) -> None:
    lr = first.metrics["lr"]
    assert lr[:WARM] == pytest.approx([LR / 2, LR])
    assert all(a > b for a, b in zip(lr[WARM - 1 :], lr[WARM:COOL], strict=False))
    assert lr[COOL - 1 : CONSTANT] == pytest.approx([LR / 4] * (CONSTANT - COOL + 1))
    # the annealing starts from the constant rate and falls by one factor each step
    factors = np.array(lr[CONSTANT:]) / np.array(lr[CONSTANT - 1 : -1])
    np.testing.assert_allclose(factors, (0.01 / 0.25) ** (1 / (END - CONSTANT)), rtol=1e-6)
    assert lr[-1] == pytest.approx(LR * 0.01)


def test_the_branch_is_the_end_of_the_constant_phase(
    tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    """A run without an annealing ends with what another, which anneals after as many steps, leaves to continue from."""
    run = {"schedule.constant": 0.25, "schedule.warmup": 2, "schedule.cooldown": 4}
    a, b = (
        tacit.pretrain(
            small_images[0], "simclr", steps=steps, out=tmp_path / str(steps), schedule="infinite", batch_size=16,
            quiet=True, options=run | {"schedule.anneal": steps - 10},
        )
        for steps in (14, 10)
    )  # fmt: skip
    branch, flat = checkpoints.read(a.folder / "continue.pt"), checkpoints.latest(b.folder / "checkpoints")
    assert flat is not None
    assert branch["step"] == flat["step"] == 10
    assert all(torch.equal(branch["method"][key], value) for key, value in flat["method"].items())
    for key, values in flat["optimiser"]["state"].items():
        assert all(torch.equal(branch["optimiser"]["state"][key][name], value) for name, value in values.items())
    assert not (b.folder / "continue.pt").exists()


def test_the_next_run_starts_from_the_branch_and_stays_at_the_constant_rate(
    first: tacit.Run, tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = checkpoints.read(first.folder / "continue.pt")
    seen: dict[str, object] = {}
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *args: object, **more: object) -> object:
        if not seen:
            seen["optimiser"] = {i: {k: v.clone() for k, v in s.items()} for i, s in enumerate(self.state.values())}
            seen["weights"] = [p.detach().clone() for g in self.param_groups for p in g["params"]]
        return step(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    new = 255 - small_images[0]
    run = tacit.pretrain(new, "byol", steps=20, out=tmp_path / "next", continue_from=first, **OPTIONS)  # type: ignore[arg-type]

    started = seen["optimiser"]
    assert isinstance(started, dict)
    assert len(started) == len(branch["optimiser"]["state"]) > 0
    for mine, theirs in zip(started.values(), branch["optimiser"]["state"].values(), strict=True):
        assert set(mine) == set(theirs)
        assert all(torch.equal(mine[k], theirs[k]) for k in theirs)
        assert float(mine["step"]) == CONSTANT
    weights = seen["weights"]
    assert isinstance(weights, list)
    stored = list(branch["method"].values())
    for weight in weights:
        assert any(weight.shape == s.shape and torch.equal(weight, s) for s in stored)
    assert run.metrics["lr"][:16] == pytest.approx([LR / 4] * 16)
    assert all(a > b for a, b in zip(run.metrics["lr"][15:], run.metrics["lr"][16:], strict=False))
    assert checkpoints.read(run.folder / "continue.pt")["step"] == 16
    assert run.config["continue_from"] == str(first.folder.resolve())


def test_a_continued_run_resumes_exactly(
    first: tacit.Run, tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    more = OPTIONS | {"checkpoint_every": 10}
    a, b = (
        tacit.pretrain(small_images[0], "byol", steps=20, out=tmp_path / n, continue_from=first, **more) for n in "ab"
    )  # type: ignore[arg-type]
    last = max((b.folder / "checkpoints").iterdir())
    last.unlink()
    again = tacit.pretrain(small_images[0], out=b.folder, resume=True, quiet=True)
    for name in ("method.safetensors", "metrics.csv"):
        assert (a.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_weights_that_do_not_fit_are_refused(
    first: tacit.Run, tmp_path: Path, small_images: tuple[np.ndarray, np.ndarray]
) -> None:
    with pytest.raises(RunError, match="do not fit this method and encoder"):
        tacit.pretrain(small_images[0], "simclr", steps=2, out=tmp_path / "r", continue_from=first, quiet=True)
