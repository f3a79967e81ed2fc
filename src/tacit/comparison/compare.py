"""``tacit compare``: trains every method with every encoder and seed, and says which of them is better."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit import __version__
from tacit.comparison import cluster
from tacit.comparison.live import LiveTable
from tacit.comparison.measuring import Bench
from tacit.comparison.plan import (
    Arm,
    Choice,
    Part,
    arms_of,
    budget_of,
    noun_of,
    options_for,
    reading_of,
    seeds_of,
    words_of,
)
from tacit.comparison.results import result_of
from tacit.comparison.work import Job, do, outcome
from tacit.console import say
from tacit.data import Source, unreadable
from tacit.errors import OptionError, RunError
from tacit.files import read_json, write_json
from tacit.modalities import open_source
from tacit.modalities.looking import path_of
from tacit.reporting.compared import write_page
from tacit.training.folder import differences, free_folder, make_folder

SAMPLES = 10_000
FACTS = "comparison.json"
ANYWHERE = ("tacit", "data.path", "data.store", "data.kind", "data.dtype")
"""Facts that may be others when a comparison is continued."""


def compare(
    data: Any,
    methods: Sequence[Choice],
    encoders: Sequence[str] | None = None,
    *,
    budget: str | float = "10m",
    seeds: int | Sequence[int] = 3,
    labelled: Any = None,
    samples: int = SAMPLES,
    out: str | Path | None = None,
    modality: str | None = None,
    options: Mapping[str, Any] | None = None,
    ray: str | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train several methods with the same budget and say which can be told apart.

    What is done is kept: the same call with the same ``out`` goes on where it was stopped or killed, and one with more
    methods, encoders or seeds trains only these.

    Args:
        data: what to train on, as for :func:`tacit.pretrain`.
        methods: names, or classes of methods.
        encoders: names; every method is trained with each. By default each method with its own for this data.
        budget: of each single training: ``"10m"``, ``"20 epochs"`` or ``"500 steps"``.
        seeds: how many, or which.
        labelled: data with labels to measure on, by default ``data``. Labels never reach a training, except of methods
            that learn from them.
        samples: most samples that encoders are measured on; the same for all.
        out: the folder of the comparison; by default a new one under ``comparisons/``.
        modality: the kind of data, where it is not plain from the data.
        options: training settings and hyper-parameters of all methods by name, or of one as ``"simclr:temperature"``.
        ray: address of a Ray cluster to train on, ``"local"`` for one on this machine.
        quiet: print nothing.

    Returns:
        plain data, also stored as ``result.json`` beside the page ``comparison.html``: ``status`` (``finished``, or
        ``interrupted`` and then without what follows), ``folder``, ``page``, ``budget``, ``seeds``, ``bench`` (what
        was measured on), ``arms`` (each with ``name``, ``method``, ``encoder``, ``labels``, ``runs`` and ``measures``:
        mean, 95% interval over seeds and values of each measure), ``untrained`` and ``raw`` (the same before training
        and without an encoder), ``order``, ``pairs``, ``gains``, ``sentences`` and ``notes`` (see
        :func:`tacit.comparison.verdict.judged`), ``agreement`` (see :func:`tacit.comparison.verdict.agreement`),
        ``time`` (``training`` and ``wall`` seconds and their ``share``).

    Raises:
        OptionError: for fewer than two arms, an unknown or unfit method, a malformed budget, or a folder that holds
            another comparison.
        DataError: for data that cannot be read.
        MissingExtra: for ``ray`` without Ray.
    """
    began = time.perf_counter()
    spent, numbers, given = budget_of(budget), seeds_of(seeds), dict(options or {})
    if samples < 10:
        raise OptionError(f"samples must be at least 10 to measure anything, not {samples}")
    reading = reading_of(given)
    source = open_source(data, modality, progress=not quiet, **reading)
    arms = arms_of(source, methods, list(encoders) if encoders else [None], spent, given)
    opening = (_found(data), _found(labelled), source.modality, reading, samples)
    source, bench = cluster.open_both(source, *opening[1:])
    folder = _folder(out, source)
    facts = {
        "tacit": __version__,
        "modality": source.modality,
        "data": source.describe(),
        "measured_on": bench.about() | ({} if labelled is None else {"data": bench.source.describe()}),
        "budget": spent,
        "options": given,
    }
    clock = _claim(folder, facts)
    choices = {arm.method: methods[i // (len(encoders) if encoders else 1)] for i, arm in enumerate(arms)}
    parts = [Part(arm, seed) for seed in numbers for arm in arms]
    jobs = [Job(part, choices[part.arm.method], options_for(part.arm.method, spent, given)) for part in parts]
    left = [job for job in jobs if outcome(folder, job.part) is None]
    for line in _announcement(source, arms, numbers, spent, folder, len(parts) - len(left)):
        say(line, quiet)

    with LiveTable(folder, parts, spent, bench.leading, quiet) as table:
        for job in jobs:
            if job not in left:
                table.at(job.part, "finished")
        if ray is None:
            _here(folder, left, source, bench, table, clock, began)
        elif left:

            def ended(part: Part, found: dict[str, Any] | None) -> None:
                if found is not None:
                    table.at(part, found["status"])
                    clock.add(found["training"], found["wall"])

            for job in left:
                table.at(job.part, "training")
            cluster.over_ray(ray, folder.resolve(), left, opening, ended)

    outcomes = {part: outcome(folder, part) for part in parts}
    done = {part: found for part, found in outcomes.items() if found is not None}
    if len(done) < len(parts):
        say(f"interrupted; what is trained is saved. Continue with the same command and --out {folder}", quiet)
        return {"status": "interrupted", "folder": str(folder)}
    result = result_of(folder, facts, arms, numbers, bench, done, clock.as_dict())
    write_json(folder / "result.json", result)
    write_page(result, folder / "comparison.html")
    return result


class Clock:
    """Seconds of training and of everything, added up over the sessions of a comparison; stored with its facts."""

    def __init__(self, path: Path, facts: dict[str, Any], clock: Mapping[str, float]) -> None:
        self.path, self.facts = path, facts
        self.training, self.wall = float(clock.get("training", 0)), float(clock.get("wall", 0))

    def add(self, training: float, wall: float) -> None:
        self.training, self.wall = self.training + training, self.wall + wall
        write_json(self.path, self.facts | {"clock": self.as_dict()})

    def as_dict(self) -> dict[str, float]:
        share = self.training / self.wall if self.wall else 0.0
        return {"training": round(self.training, 2), "wall": round(self.wall, 2), "share": round(share, 4)}


def _here(
    folder: Path, jobs: Sequence[Job], source: Source, bench: Bench, table: LiveTable, clock: Clock, began: float
) -> None:
    """All parts on this machine, one after the other, until one is interrupted."""
    for job in jobs:

        def tell(state: str, part: Part = job.part) -> None:
            if state in ("training", "measuring"):
                table.at(part, state)

        found = do(folder, job, source, bench, tell)
        if found is None:
            return
        now = time.perf_counter()
        clock.add(found["training"], now - began)
        began = now
        table.at(job.part, found["status"])


def _found(data: Any) -> Any:
    """Data as another process finds it: a path from the root, anything else as it is."""
    path = path_of(data)
    return data if path is None else str(path.resolve())


def _folder(out: str | Path | None, source: Source) -> Path:
    """The folder of a comparison: ``out``, or the next free ``comparisons/<data>-<n>``.

    Raises:
        RunError: if it is something else, or cannot be made.
    """
    folder = free_folder("comparisons", source.describe()) if out is None else Path(out)
    make_folder(folder)
    if any(folder.iterdir()) and not (folder / FACTS).exists():
        raise RunError(f"{folder} is not empty and holds no comparison of tacit; choose another --out")
    return folder


def _claim(folder: Path, facts: dict[str, Any]) -> Clock:
    """Write what is compared into the folder, or check that it is what the folder holds already.

    Raises:
        OptionError: naming the first difference.
    """
    path = folder / FACTS
    stored = read_json(path) if path.exists() else {}
    clock = stored.pop("clock", {})
    plain = json.loads(json.dumps(facts))
    for row in differences(stored, plain) if stored else []:
        if row.partition(":")[0].removeprefix("measured_on.") not in ANYWHERE:
            raise OptionError(f"{folder} holds another comparison; {row}. Choose another --out")
    made = Clock(path, plain, clock)
    made.add(0.0, 0.0)
    return made


def _announcement(
    source: Source, arms: Sequence[Arm], seeds: Sequence[int], budget: Mapping[str, Any], folder: Path, kept: int
) -> list[str]:
    listed = ", ".join(f"{arm.name} ({arm.encoder})" if arm.encoder not in arm.name else arm.name for arm in arms)
    trainings = len(arms) * len(seeds)
    lines = [
        f"{noun_of(source)}; {listed}",
        f"{trainings} trainings: {len(arms)} with {len(seeds)} seed{'s' * (len(seeds) != 1)}, {words_of(budget)} each",
        f"folder {folder}" + (f"; {kept} of {trainings} are done already" if kept else ""),
    ]
    return [lines[0], *unreadable(source), *lines[1:]]
