"""One part of a comparison: trained, or continued where it stopped, and measured. A part that is done is not redone."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.comparison.measuring import Bench, measure
from tacit.comparison.plan import Choice, Part
from tacit.data import Source
from tacit.errors import RunError, TrainingStopped
from tacit.files import read_json, write_json
from tacit.launch import launch
from tacit.run import Run
from tacit.training import checkpoints

DONE = ("finished", "stopped")
LAST = 20
"""Logged losses whose mean stands for that at the end."""
STATES = ("waiting", "training", "measuring", *DONE, "interrupted")


@dataclass(frozen=True)
class Job:
    """What training a part needs besides the data.

    Attributes:
        part: which one.
        method: its method, a name or a class.
        options: of the training, budget and all.
    """

    part: Part
    method: Choice
    options: Mapping[str, Any]


def run_folder(folder: Path, part: Part) -> Path:
    """Where a part's run is."""
    return folder / "runs" / part.key


def outcome(folder: Path, part: Part) -> dict[str, Any] | None:
    """What a part that is done left, else None.

    Returns:
        ``status`` (one of :data:`DONE`), ``row`` (its measures), ``untrained`` (those of the encoder before training),
        ``verdict`` (the watch's state), ``why`` (if it stopped), ``trained`` (seconds of training, in all), and of the
        session that ended it ``training`` and ``wall``, seconds.
    """
    path = run_folder(folder, part) / "measures.json"
    try:
        found = read_json(path) if path.exists() else None
    except RunError:
        return None  # damaged: measured anew
    return found if isinstance(found, dict) and found.get("status") in DONE else None


def do(
    folder: Path, job: Job, source: Source, bench: Bench, tell: Callable[[str], None] = lambda state: None
) -> dict[str, Any] | None:
    """Train and measure a part unless it is done already.

    Args:
        folder: of the comparison.
        source: the opened data.
        bench: what to measure on.
        tell: called with each state of :data:`STATES` that the part comes to.

    Returns:
        :func:`outcome`, or None if the training was interrupted.
    """
    done = outcome(folder, job.part)
    if done is not None:
        tell(done["status"])
        return done
    began = time.perf_counter()
    out = run_folder(folder, job.part)
    before = _prepare(out)
    tell("training")
    kept: dict[str, Any] = {}
    try:
        run = _train(job, source, out, resume=before is not None)
        if run.summary["status"] == "interrupted":
            tell("interrupted")
            return None
        tell("measuring")
        kept = {"status": "finished", **_measured(folder, bench, run)}
    except TrainingStopped as error:
        kept = {"status": "stopped", "why": str(error)}
    summary = Run(out).summary
    trained = float(summary.get("seconds") or (before or 0.0) + time.perf_counter() - began)
    kept |= {
        "verdict": (summary.get("verdict") or {}).get("state", "unknown"),
        "trained": trained,
        "training": max(0.0, trained - (before or 0.0)),
        "wall": time.perf_counter() - began,
    }
    write_json(out / "measures.json", kept)
    tell(kept["status"])
    return kept


def _prepare(out: Path) -> float | None:
    """Seconds that an unfinished run has trained up to its last checkpoint; None where there is nothing to continue."""
    if (out / "config.json").exists():
        state = checkpoints.latest(out / "checkpoints")
        return 0.0 if state is None else float(state["seconds"])
    if out.exists():  # killed before the run's first file was written
        shutil.rmtree(out)
    return None


def _train(job: Job, source: Source, out: Path, resume: bool) -> Run:
    finished = Run(out) if resume else None
    if finished is not None and finished.summary.get("status") == "finished":
        return finished  # killed while it was measured
    return launch(
        "method", source, job.method, job.part.arm.encoder, options=job.options, views=None, modality=None,
        seed=job.part.seed, out=out, resume=resume, continue_from=None, quiet=True,
    )  # fmt: skip


def _measured(folder: Path, bench: Bench, run: Run) -> dict[str, Any]:
    """Measures of the trained encoder, and of the same before training, which methods share."""
    shared = {"raw": folder / "untrained" / "raw.json", "untrained": folder / "untrained" / _same_start(run)}
    missing = {name for name, path in shared.items() if not path.exists()}
    networks = {"trained": run.encoder}
    if "untrained" in missing:
        networks["untrained"] = run.random_encoder()
    rows = measure(bench, networks, run, raw="raw" in missing)
    for name in missing:
        shared[name].parent.mkdir(parents=True, exist_ok=True)
        write_json(shared[name], rows[name])
    losses = run.metrics.get("loss", [])[-LAST:]
    ended = {"loss": sum(losses) / len(losses)} if losses else {}
    return {"row": rows["trained"] | ended, "untrained": rows.get("untrained") or read_json(shared["untrained"])}


def _same_start(run: Run) -> str:
    """A file name that runs share whose encoders were the same before training."""
    start = json.dumps([run.config["encoder"], run.config["spec"], run.config["seed"]], sort_keys=True)
    return f"{zlib.crc32(start.encode()):08x}-{run.config['seed']}.json"
