"""One training from plan to run folder."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from safetensors.torch import save
from torch import Tensor, nn

from tacit.console import Bar
from tacit.environment import facts
from tacit.errors import RunError, TrainingStopped
from tacit.files import write, write_json
from tacit.methods.base import Method
from tacit.training import checkpoints
from tacit.training.feed import once
from tacit.training.loggers import made
from tacit.training.loop import Outcome, State, train
from tacit.training.memory import kept_memory
from tacit.training.optimisers import make_optimiser
from tacit.training.plan import Plan
from tacit.training.precision import channels_last
from tacit.training.schedules import make_schedule
from tacit.training.showcase import showcase
from tacit.training.watch import Watch
from tacit.views.base import Views


def start(plan: Plan, folder: Path, earlier: State | None, state: State | None, quiet: bool) -> Outcome:
    """Train as planned and leave weights, summary and gallery in ``folder``.

    Args:
        earlier: a finished run's state whose weights and optimiser state this run starts from.
        state: this run's own checkpoint, to continue exactly from.

    Raises:
        TrainingStopped: see :func:`tacit.training.loop.train`; the summary says why.
    """
    settings, seed = plan.settings, plan.config["seed"]
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=settings.strategy,
        precision=cast(Any, settings.precision),
        loggers=made(settings.logger, folder),
    )
    fabric.launch()
    method, views = plan.build()
    if plan.encoder is not None and state is None and fabric.is_global_zero:
        save_weights(folder / "initial.safetensors", method.encoder.state_dict())
    method.to(fabric.device)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        method = nn.SyncBatchNorm.convert_sync_batchnorm(method)
    optimiser = make_optimiser(
        method, settings.optimizer, settings.lr, settings.batch_size, settings.weight_decay, settings.momentum
    )
    schedule = make_schedule(
        settings.schedule, optimiser.defaults["lr"], continued=earlier is not None, **plan.config["schedule"]
    )
    if earlier is not None and state is None:
        _start_from(method, optimiser, earlier)
    channels_last(method.encoder, fabric.device, settings.channels_last)
    evaluation = plan.kind.evaluation_view(plan.spec)
    if state is None:
        method.eval().begin(lambda: once(plan.source, evaluation, fabric.device, method.uses_labels))
    watch = Watch(plan.source, evaluation, views, fabric.device, seed)

    if fabric.is_global_zero:
        write_json(folder / "environment.json", facts() | {"precision": settings.precision})
        for logger in fabric.loggers:
            logger.log_hyperparams(plan.config)
    outcome: Outcome | None = None
    why = ""
    memory = kept_memory() if fabric.device.type == "cpu" else nullcontext()
    with memory, Bar(plan.config["method"]["name"], quiet=quiet or not fabric.is_global_zero) as bar:
        try:
            outcome = train(
                fabric, method, optimiser, schedule, views, plan.source, watch, settings, seed, folder, state,
                lambda step, total, row: bar.at(step, total, _note(row)), evaluation,
            )  # fmt: skip
        except TrainingStopped as error:
            why = str(error)
            raise
        finally:
            for logger in fabric.loggers:
                logger.finalize("success" if outcome else "failed")
            if fabric.is_global_zero and (outcome or why):
                _leave(plan, method, views, watch, folder, outcome, why)
    fabric.barrier()  # the other ranks read what the first one leaves
    assert outcome is not None
    return outcome


def _leave(
    plan: Plan, method: Method, views: Views, watch: Watch, folder: Path, outcome: Outcome | None, why: str
) -> None:
    """Write what a run leaves behind."""
    method.eval().cpu()
    save_weights(folder / "method.safetensors", method.state_dict())
    save_weights(folder / "encoder.safetensors", method.encoder.state_dict())
    summary: dict[str, Any] = {
        "status": outcome.status if outcome else "stopped",
        "steps": outcome.steps if outcome else None,
        "seconds": round(outcome.seconds, 2) if outcome else None,
        "verdict": watch.state_dict(),
        "skipped": [list(row) for row in plan.source.skipped],
    }
    write_json(folder / "summary.json", summary | ({"why": why} if why else {}))
    showcase(plan, method.float(), views, folder)


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a state dict as safetensors, atomically."""
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}
    content = save(plain)
    write(path, lambda file: file.write(content))


def earlier_state(folder: Path) -> State:
    """What another run leaves to continue from: the end of its constant phase, or else its last checkpoint.

    Raises:
        RunError: if it has neither.
    """
    branch = folder / "continue.pt"
    state = checkpoints.read(branch) if branch.exists() else checkpoints.latest(folder / "checkpoints")
    if state is None:
        raise RunError(f"{folder} has no checkpoint to continue from; it must be a run that trained for a while")
    return state


def _start_from(method: Method, optimiser: torch.optim.Optimizer, earlier: State) -> None:
    try:
        method.load_state_dict(earlier["method"])
        optimiser.load_state_dict(earlier["optimiser"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise RunError(
            f"the earlier run's weights do not fit this method and encoder ({reason}); continue with the same ones"
        ) from error


def _note(row: dict[str, float]) -> str:
    return f"loss {row['loss']:.3f}  {row['samples_per_second']:,.0f} samples/s"
