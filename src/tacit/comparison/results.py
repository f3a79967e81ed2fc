"""What a comparison gives back: figures, order, sentences, and what a reader must know besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tacit import __version__
from tacit.comparison.measuring import Bench
from tacit.comparison.plan import Arm, Part
from tacit.comparison.verdict import agreed, agreement, judged, measured
from tacit.comparison.work import run_folder
from tacit.files import read_json


def result_of(
    folder: Path,
    facts: dict[str, Any],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    bench: Bench,
    done: Mapping[Part, dict[str, Any]],
    clock: Mapping[str, float],
) -> dict[str, Any]:
    """The result of a comparison whose parts are all done; see :func:`tacit.comparison.compare.compare`."""

    def rows(arm: Arm, which: str) -> dict[int, dict[str, Any]]:
        return {p.seed: found[which] for p, found in done.items() if p.arm == arm and which in found}

    trained = {arm.name: rows(arm, "row") for arm in arms}
    untrained = {arm.name: rows(arm, "untrained") for arm in arms}
    raw = folder / "untrained" / "raw.json"
    verdict = judged(trained, untrained, bench.leading, len(seeds))
    foretold = agreement(trained, bench.leading, len({arm.method for arm in arms}) == 1)
    verdict["sentences"] += agreed(foretold, bench.leading)
    return {
        "status": "finished",
        "folder": str(folder),
        "page": str(folder / "comparison.html"),
        "tacit": __version__,
        "modality": facts["modality"],
        "data": facts["data"],
        "budget": facts["budget"],
        "options": facts["options"],
        "seeds": list(seeds),
        "bench": facts["measured_on"],
        "arms": [
            {
                **asdict(arm),
                "runs": [_about(folder, part, found) for part, found in done.items() if part.arm == arm],
                "measures": measured(trained[arm.name]),
            }
            for arm in arms
        ],
        "untrained": {arm.name: measured(untrained[arm.name]) for arm in arms},
        "raw": measured({0: read_json(raw)}) if raw.exists() else {},
        **verdict,
        "agreement": foretold,
        "notes": _notes(facts, arms, bench, done),
        "time": dict(clock),
    }


def _about(folder: Path, part: Part, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seed": part.seed,
        "folder": str(run_folder(folder, part)),
        **{name: found.get(name) for name in ("status", "why", "verdict", "trained")},
    }


def _notes(
    facts: Mapping[str, Any], arms: Sequence[Arm], bench: Bench, done: Mapping[Part, Mapping[str, Any]]
) -> list[str]:
    """What a reader must know besides the figures."""
    said = list(bench.notes)
    if len({arm.encoder for arm in arms}) > 1 and len({arm.method for arm in arms}) == len(arms):
        said.append("the encoders are not the same, so each row speaks of a method and its encoder together")
    taught = sorted({arm.method for arm in arms if arm.labels})
    if taught and len(taught) < len({arm.method for arm in arms}):
        said.append(f"{', '.join(taught)} used labels in training, which the others did not")
    if "time" in facts["budget"]:
        said.append("the same time is not the same number of steps: a method with cheaper steps takes more of them")
    else:
        said.append("the same number of passes is not the same time: see the seconds of each run")
    said.append("each method ran with its default settings, or those given; another one may gain more from tuning")
    if bench.labels is not None:
        said.append("the split into training and test samples of the probes is one and the same for all runs")
    for part, found in done.items():
        if found["status"] == "stopped":
            said.append(f"{part.arm.name}, seed {part.seed}, did not finish: {found.get('why')}")
        elif "collapse" in str(found.get("verdict")):
            said.append(f"{part.arm.name}, seed {part.seed}: {found['verdict']}")
    return said
