"""The training loop, in reading order: batch, views, loss, backward, guard, step, log, checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor

from tacit.data import Batch, Source
from tacit.environment import cores
from tacit.errors import RunError, TrainingStopped
from tacit.methods.base import JointEmbedding, Method
from tacit.parts import cached
from tacit.parts.draws import Draws, mix
from tacit.tables import Table
from tacit.training import checkpoints
from tacit.training.feed import Order, feed, once
from tacit.training.horizon import Horizon
from tacit.training.interrupts import Interrupts
from tacit.training.optimisers import set_rate
from tacit.training.precision import fitted, stored_type
from tacit.training.pruning import Pruning, embedded, target_of, write_selection
from tacit.training.schedules import Schedule
from tacit.training.settings import Settings
from tacit.training.undo import Undo
from tacit.training.watch import Watch
from tacit.views.base import Views

State = dict[str, Any]
CORES = 4
"""Where a core is idle because there are fewer threads than cores, the thread that reads a batch makes its views too,
while the last one trains. From so many threads on it might not keep up, and views are made by all between the steps."""


@dataclass
class Outcome:
    """How a training ended: ``finished`` or ``interrupted``, after how many steps and seconds."""

    status: Literal["finished", "interrupted"]
    steps: int
    seconds: float


def train(
    fabric: Fabric,
    method: Method,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    views: Views,
    source: Source,
    watch: Watch,
    settings: Settings,
    seed: int,
    folder: Path,
    state: State | None = None,
    report: Callable[[int, int, dict[str, float]], None] = lambda step, total, row: None,
    evaluation: Views | None = None,
) -> Outcome:
    """Train ``method`` until the budget is spent, an interrupt arrives or the weights are in danger.

    Args:
        state: a checkpoint to continue exactly from; the method, optimiser, schedule and watch are restored from it.
        report: called after each logged step with the step, the total and the row of metrics.
        evaluation: the deterministic view, which pruning needs.

    Raises:
        TrainingStopped: at a non-finite loss or gradient, before it reaches the weights, or at a collapse with
            ``on_collapse='stop'``; a checkpoint of the last good weights has been written.
    """
    rank, ranks = fabric.global_rank, fabric.world_size
    if settings.batch_size < 2 * ranks and ranks > 1:
        raise RunError(f"batch_size {settings.batch_size} gives {ranks} processes fewer than 2 samples each")

    def arrange(shuffled: Tensor, batch: int) -> Tensor:
        return method.arrange(source.arrange(shuffled, batch), batch)

    samples = Order(len(source), settings.batch_size, seed, rank, ranks, arrange)
    steps = settings.steps or (settings.epochs or 0) * samples.per_epoch or None
    horizon = Horizon(steps, settings.time)
    pruning = _pruning(settings, source, steps, seed)
    step, elapsed = 0, 0.0
    if state is not None:
        stored_type(method, state["method"])
        method.load_state_dict(state["method"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        watch.load_state_dict(state["watch"])
        horizon.load_state_dict(state["horizon"])
        step, elapsed = state["step"], state["seconds"]
        if pruning is not None:
            pruning.load_state_dict(state["pruning"])
    if pruning is not None and pruning.kept is not None:
        samples.keep(pruning.kept, pruning.since)
    method.train()
    if settings.chunk:
        cached.check(method)
    model, optimiser = fabric.setup(method, optimiser)
    device, undo = fabric.device, Undo(method)

    first = step if state is not None else None
    tables = {n: Table(folder / f"{n}.csv", first) for n in ("metrics", "watch", "speed")} if rank == 0 else {}
    if rank == 0 and pruning is not None:  # a choice at the checkpoint's step came after it, and is made again
        tables["pruning"] = Table(folder / "pruning.csv", None if first is None else first - 1)
    began = saved = time.perf_counter() - elapsed

    def save(name: Path | None = None) -> None:
        nonlocal saved
        content = {
            "method": method.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "watch": watch.state_dict(),
            "horizon": horizon.state_dict(),
            "step": step,
            "seconds": time.perf_counter() - began,
        } | ({"pruning": pruning.state_dict()} if pruning is not None else {})
        if rank == 0 and name is None:
            checkpoints.save(folder / "checkpoints", step, content)
        elif rank == 0 and name is not None:
            checkpoints.write_plain(name, content)
        saved = time.perf_counter()

    def look(total: int) -> None:
        row = watch.measure(method)
        verdict = watch.judge(step, row)
        if tables:
            tables["watch"].add({"step": step, **row})
        if verdict.collapsed and settings.on_collapse == "stop" and step > 0:
            save()
            raise TrainingStopped(f"training stopped at step {step} of {total}: {verdict.text}")

    def prune(pruning: Pruning) -> None:
        """Choose what is trained on from here on: rank 0 for all."""
        assert evaluation is not None
        if rank == 0:
            found = embedded(method, lambda: once(source, evaluation, device, False))
            tables["pruning"].add({"step": step, **pruning.choose(found, step)})
        pruning.load_state_dict(fabric.broadcast(pruning.state_dict()))
        assert pruning.kept is not None
        if rank == 0:
            write_selection(folder, step, pruning.kept)
        samples.keep(pruning.kept, pruning.since)

    def with_views(step: int, batch: Batch) -> Batch:
        batch["views"] = fitted(views(batch, Draws.seeded(seed, step, device=device)), method)
        return batch

    # other types of weights change the default type of all threads while a step runs
    plain = next(method.parameters()).dtype == torch.float32
    ahead = plain and device.type == "cpu" and torch.get_num_threads() < min(CORES, cores())

    def read() -> Generator[Batch, None, None]:
        labels, pin = type(method).uses_labels, device.type == "cuda"
        return feed(source, samples.at, step, labels, pin, with_views if ahead else None)

    with Interrupts() as interrupts:
        batches = read()
        lap, lap_step, waited = time.perf_counter(), step, 0.0
        while not horizon.done(step, elapsed):
            total = horizon.total(step, elapsed)
            if schedule.branches_at(step, total):
                save(folder / "continue.pt")
            rate = schedule.rate(step, total)
            set_rate(optimiser, rate)
            if step == 0:
                look(total)
            if pruning is not None and pruning.due(step):
                batches.close()
                prune(pruning)
                batches = read()

            before = time.perf_counter()
            batch = next(batches)
            if not ahead:
                batch = with_views(step, fabric.to_device(batch))
            waited += time.perf_counter() - before
            torch.manual_seed(mix(seed, step, 0x57E9))

            undo.keep()
            if settings.chunk:
                assert isinstance(method, JointEmbedding)
                losses = cached.backward(method, batch, settings.chunk, fabric.backward, fabric.autocast)
            else:
                losses = model(batch)
                fabric.backward(losses["loss"])

            norm = _gradient_norm(method, settings.clip)
            healthy = torch.isfinite(losses["loss"].detach()) & torch.isfinite(norm)
            if not _everywhere(fabric, healthy):
                undo.restore()
                save()
                raise TrainingStopped(_bad_numbers(step, losses, float(norm), rate))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            elapsed, stop = _together(fabric, time.perf_counter() - began, interrupts.asked)
            horizon.stepped(elapsed)
            method.after_step(horizon.progress(step, elapsed))

            last = horizon.done(step, elapsed)
            if step % settings.log_every == 0 or last:
                row = {
                    "lr": rate,
                    **{k: float(_mean(fabric, v.detach())) for k, v in losses.items()},
                    "grad_norm": float(norm),
                }
                if tables:
                    seconds = time.perf_counter() - lap
                    speed = {"samples_per_second": (step - lap_step) * samples.batch / seconds}
                    tables["metrics"].add({"step": step, "epoch": samples.epoch(step - 1), **row})
                    tables["speed"].add({"step": step, "seconds": elapsed, **speed, "waiting_share": waited / seconds})
                    fabric.log_dict({**row, **speed}, step)
                    report(step, total, row | speed)
                lap, lap_step, waited = time.perf_counter(), step, 0.0
            if step % (settings.watch_every or watch.every(total, samples.batch)) == 0 or last:
                look(total)
            every = settings.checkpoint_every
            if last or stop or (step % every == 0 if every else time.perf_counter() - saved > 60):
                save()
            if stop and not last:
                return Outcome("interrupted", step, elapsed)
        batches.close()
    return Outcome("finished", step, elapsed)


def _pruning(settings: Settings, source: Source, steps: int | None, seed: int) -> Pruning | None:
    if not settings.prune:
        return None
    s = settings
    target = target_of(s.prune_target, source, s.batch_size) if s.prune_target else None
    return Pruning(
        s.prune, s.prune_warm, s.prune_every, s.prune_eta, s.prune_cutoff, target,
        count=len(source), steps=steps, seed=seed,
    )  # fmt: skip


def _gradient_norm(method: Method, clip: float) -> Tensor:
    """The gradient's norm before clipping; gradients are clipped in place where ``clip`` is positive."""
    parameters = [p for p in method.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
    return norm


def _mean(fabric: Fabric, value: Tensor) -> Tensor:
    if fabric.world_size == 1:
        return value
    reduced = fabric.all_reduce(value, reduce_op="mean")
    assert isinstance(reduced, Tensor)
    return reduced


def _together(fabric: Fabric, elapsed: float, asked: bool) -> tuple[float, bool]:
    """The clock of rank 0, and whether any rank was asked to stop: all ranks must do the same number of steps."""
    if fabric.world_size == 1:
        return elapsed, asked
    row = torch.tensor([elapsed if fabric.global_rank == 0 else 0.0, float(asked)], device=fabric.device)
    reduced = fabric.all_reduce(row, reduce_op="sum")
    assert isinstance(reduced, Tensor)
    return float(reduced[0]), bool(reduced[1])


def _everywhere(fabric: Fabric, good: Tensor) -> bool:
    if fabric.world_size == 1:
        return bool(good)
    reduced = fabric.all_reduce(good.float(), reduce_op="sum")
    assert isinstance(reduced, Tensor)
    return int(reduced) == fabric.world_size


def _bad_numbers(step: int, losses: dict[str, Tensor], norm: float, rate: float) -> str:
    terms = [name for name, value in losses.items() if not torch.isfinite(value)]
    what = f"{', '.join(terms)} is not finite" if terms else f"the gradient's norm is {norm}"
    return (
        f"training stopped at step {step + 1}: {what}. The weights are those after step {step} and are saved; "
        f"check the data for NaN or extreme values, or lower the learning rate (now {rate:.3g})"
    )
