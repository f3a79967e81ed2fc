"""How a run trains: every value, and the automatic ones decided in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from tacit.errors import OptionError
from tacit.options import checked, duration, parameters


@dataclass(frozen=True)
class Settings:
    """The training half of a run's configuration; ``--set name=value`` sets any of them.

    Attributes:
        epochs, steps, time: the budget, exactly one of them (``time`` in seconds); automatic: epochs so that about
            five million samples are seen, at most 100.
        batch_size: samples a step over all devices; automatic: 256, or a quarter of a smaller data set.
        optimizer: ``adamw``, ``sgd`` or ``lars``.
        lr: peak learning rate; automatic by optimiser and batch size.
        weight_decay, momentum: automatic by optimiser. Biases, norms and embeddings of position do not decay.
        schedule: ``cosine`` (linear warm-up, half cosine), ``infinite`` or ``constant``; ``schedule.*`` sets its parts.
        clip: largest gradient norm, 0 for no clipping.
        precision: ``bf16-mixed``, ``32-true`` or ``64-true``; automatic: bf16 where the hardware has it.
        channels_last: memory layout of convolutional encoders; automatic.
        chunk: with a positive value, a contrastive batch goes through the encoder in chunks of this many samples
            with the gradients of the whole batch (cached gradients); 0: all at once.
        prune: share of the data to train on, chosen anew now and then by the model in training so that it is balanced
            (:class:`tacit.training.pruning.Pruning`); 0: all of it.
        prune_warm, prune_every: steps before the first choice and from one to the next; 0: a tenth of all.
        prune_eta: inside a cluster, positive values prefer its centre and negative ones its edge.
        prune_cutoff: how far out outliers begin, in distances between the quartiles; 0: none are left out.
        prune_target: what the part must be like, in place of balanced (SimCore): a folder inside the data, or a
            ``.txt`` file with paths or positions of samples, a line each. The target is always trained on.
        accelerator, devices, nodes, strategy: as Lightning Fabric takes them.
        log_every: steps between rows of metrics.csv.
        watch_every: steps between looks of the watch; 0: at most forty in a run.
        checkpoint_every: steps between checkpoints; 0: about one a minute.
        on_collapse: ``warn`` or ``stop``.
        logger: ``csv`` alone, or also ``tensorboard``, ``wandb`` or ``mlflow``.
    """

    epochs: int | None = None
    steps: int | None = None
    time: float | None = None
    batch_size: int = 0
    optimizer: Literal["adamw", "sgd", "lars"] = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    schedule: Literal["cosine", "infinite", "constant"] = "cosine"
    clip: float = 0.0
    precision: Literal["auto", "bf16-mixed", "32-true", "64-true"] = "auto"
    channels_last: Literal["auto"] | bool = "auto"
    chunk: int = 0
    prune: float = 0.0
    prune_warm: int = 0
    prune_every: int = 0
    prune_eta: float = 0.0
    prune_cutoff: float = 3.0
    prune_target: str = ""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int | str = 1
    nodes: int = 1
    strategy: str = "auto"
    log_every: int = 10
    watch_every: int = 0
    checkpoint_every: int = 0
    on_collapse: Literal["warn", "stop"] = "warn"
    logger: Literal["csv", "tensorboard", "wandb", "mlflow"] = "csv"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


PRUNING = ("prune", "prune_warm", "prune_every", "prune_cutoff")
NAMES = tuple(field.name for field in fields(Settings))


def settings(given: Mapping[str, Any], count: int) -> Settings:
    """The settings for ``count`` samples: the given values checked, the rest automatic.

    Raises:
        OptionError: for a value of the wrong type or out of range, or for two budgets at once.
    """
    types = parameters(Settings)
    given = {name: value for name, value in given.items() if value is not None}
    if "time" in given:
        given["time"] = duration(given["time"])
    values = {name: checked(value, types[name][0], name) for name, value in given.items()}
    budgets = [name for name in ("epochs", "steps", "time") if name in values]
    if len(budgets) > 1:
        raise OptionError(f"give one of epochs, steps and time, not {' and '.join(budgets)}")
    if not budgets:
        values["epochs"] = max(1, min(100, 5_000_000 // max(count, 1)))
    values.setdefault("batch_size", automatic_batch(count))
    for name in ("epochs", "steps", "log_every", "nodes"):
        if values.get(name) is not None and values.get(name, 1) < 1:
            raise OptionError(f"{name} must be at least 1, not {values[name]}")
    for name in ("lr", "weight_decay", "clip", "chunk", "watch_every", "checkpoint_every", *PRUNING):
        if values.get(name) is not None and values[name] < 0:
            raise OptionError(f"{name} must not be negative, but is {values[name]}")
    if values["batch_size"] < 2:
        raise OptionError(f"batch_size must be at least 2, not {values['batch_size']}")
    if count < 2:
        raise OptionError(f"training needs at least 2 samples, and there is {count}")
    values["batch_size"] = min(values["batch_size"], count)
    _check_pruning(values, count)
    return Settings(**values)


def _check_pruning(values: Mapping[str, Any], count: int) -> None:
    share = values.get("prune", 0.0)
    names = [name for name in ("prune_eta", "prune_target", *PRUNING) if name != "prune"]
    given = [name for name in names if values.get(name, getattr(Settings, name)) != getattr(Settings, name)]
    if not share and given:
        raise OptionError(f"{given[0]} is of no use without prune, the share of the data to train on")
    shape = next((name for name in given if name in ("prune_eta", "prune_cutoff")), None)
    if values.get("prune_target") and shape:
        raise OptionError(f"{shape} is of no use with prune_target, which chooses by similarity")
    if share >= 1:
        raise OptionError(f"prune must be a share of the data in (0, 1), or 0 for all of it, not {share}")
    if share and not values.get("prune_target") and int(share * count + 1e-9) < values["batch_size"]:
        raise OptionError(
            f"prune={share} leaves {int(share * count)} of {count} samples, fewer than the batch of "
            f"{values['batch_size']}; raise it, or lower batch_size"
        )
    if share and "time" in values and not (values.get("prune_warm") and values.get("prune_every")):
        raise OptionError("prune with a budget in seconds needs prune_warm and prune_every, in steps")


def automatic_batch(count: int) -> int:
    """256, or the power of two nearest below a quarter of a small data set, but at least 2 and at most all."""
    size = 256
    while size > 32 and size * 4 > count:
        size //= 2
    return max(2, min(size, count))
