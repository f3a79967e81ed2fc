"""Does the encoder wait for its data? The bare step of each kind's demo beside its training end to end.

(a) loss, backward, guard and step on batches that lie ready with their views, the very ones that the training sees, and
(b) ``tacit.pretrain`` with the demo's settings: reading, views, logs and watch. The two take turns; the share is the
median over rounds of the time of (a) divided by that of (b).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import tacit
from common import arguments, keep
from tacit.demos import declaration
from tacit.modalities.demo import Demo
from tacit.parts.draws import Draws
from tacit.registry import modality_names
from tacit.tables import read_table
from tacit.training.feed import Order
from tacit.training.memory import kept_memory
from tacit.training.optimisers import make_optimiser
from tacit.training.plan import plan
from tacit.training.precision import channels_last, fitted

DEVICE = torch.device("cpu")


def bare(declared: Demo, data: Any, kind: str, start: int, steps: int) -> float:
    """(a) seconds a step on batches that lie ready, from step ``start`` of the training on."""
    given = dict(declared.options) | {"epochs": declared.epochs, "batch_size": declared.batch_size}
    planned = plan(data, declared.method, declared.encoder, declared.views, kind, 0, given)
    method, views = planned.build()
    optimiser = make_optimiser(method, batch_size=declared.batch_size)
    channels_last(method.encoder, DEVICE)
    method.train()
    source = planned.source
    order = Order(len(source), declared.batch_size, 0, arrange=source.arrange)
    ready = []
    for step in range(start, start + steps):
        batch = source.batch(order.at(step))
        batch.pop("y", None)
        batch["views"] = fitted(views(batch, Draws.seeded(0, step)), method)
        ready.append(batch)
    half = planned.settings.precision == "bf16-mixed"

    def take(batch: Any) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = method(batch)["loss"]
        loss.backward()
        weights = [p for p in method.parameters() if p.grad is not None]
        if torch.isfinite(torch.nn.utils.get_total_norm([p.grad for p in weights if p.grad is not None])):
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        method.after_step(0.5)

    for batch in ready[:3]:
        take(batch)
    began = time.perf_counter()
    for batch in ready:
        take(batch)
    return (time.perf_counter() - began) / steps


def end_to_end(declared: Demo, data: Any, kind: str, start: int, steps: int) -> float:
    """(b) seconds a step of the whole loop, by its own log, between the same steps."""
    options = dict(declared.options) | {"log_every": start}
    with tempfile.TemporaryDirectory() as folder:
        run = tacit.pretrain(
            data, declared.method, declared.encoder, views=declared.views, modality=kind, quiet=True, options=options,
            steps=start + steps, batch_size=declared.batch_size, out=Path(folder, "run"),
        )  # fmt: skip
        log = read_table(run.folder / "speed.csv")
        return (log["seconds"][-1] - log["seconds"][0]) / (log["step"][-1] - log["step"][0])


def measure(kind: str, rounds: int, start: int, steps: int) -> dict[str, Any]:
    """Medians over rounds of one kind of data."""
    declared = declaration(kind)
    data, _ = declared.data(0)
    times = []
    for _ in range(rounds):
        with kept_memory():
            alone = bare(declared, data, kind, start, steps)
        times.append((alone, end_to_end(declared, data, kind, start, steps)))
    return {
        "modality": kind,
        "method": declared.method,
        "batch_size": declared.batch_size,
        "bare_ms": round(1000 * statistics.median(a for a, _ in times), 1),
        "tacit_ms": round(1000 * statistics.median(b for _, b in times), 1),
        "share": round(statistics.median(a / b for a, b in times), 3),
        "shares": [round(a / b, 3) for a, b in times],
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--modality", nargs="*", default=modality_names(), metavar="KIND")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--start", type=int, default=10, help="steps before the clock starts")
    parser.add_argument("--steps", type=int, default=50, help="steps a round")
    options = parser.parse_args()
    rows = []
    for kind in options.modality:
        rows.append(measure(kind, options.rounds, options.start, options.steps))
        print(
            "{modality:12} {bare_ms:8.1f} ms bare {tacit_ms:8.1f} ms tacit {share:7.3f}".format(**rows[-1]), flush=True
        )
        keep(options.json, {"steps": options.steps, "threads": torch.get_num_threads(), "rows": rows})


if __name__ == "__main__":
    main()
