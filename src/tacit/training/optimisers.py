"""Optimisers with the parameter groups that self-supervised training uses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tacit.errors import OptionError, unknown

WEIGHT_DECAY = {"adamw": 0.05, "sgd": 5e-4, "lars": 1e-6}
MOMENTUM = {"adamw": 0.9, "sgd": 0.9, "lars": 0.9}
FUSED = ("cpu", "cuda", "mps")


def learning_rate(name: str, batch_size: int) -> float:
    """The automatic peak learning rate.

    SGD and LARS scale linearly with the batch, ``0.06 * B/256`` and ``0.3 * B/256`` (SimCLR's rule); AdamW,
    whose
    step does not grow with the gradient, by the square root: ``1e-3 * sqrt(B/256)``.
    """
    if name not in WEIGHT_DECAY:
        raise unknown("optimizer", name, WEIGHT_DECAY)
    if batch_size < 1:
        raise OptionError(f"batch_size must be positive, not {batch_size}")
    share = batch_size / 256
    return {"sgd": 0.06 * share, "lars": 0.3 * share, "adamw": 1e-3 * math.sqrt(share)}[name]


def make_optimiser(
    method: nn.Module,
    name: str = "adamw",
    lr: float | None = None,
    batch_size: int = 256,
    weight_decay: float | None = None,
    momentum: float | None = None,
    beta2: float = 0.999,
    lr_scales: Mapping[str, float] | None = None,
) -> Optimizer:
    """An optimiser over the trainable parameters; its ``defaults["lr"]`` is the peak learning rate.

    Biases, norms and other vectors, and what a module's ``no_weight_decay()`` names, do not decay, and LARS
    does not adapt their rate. AdamW and SGD use torch's fused steps where the device has them.

    Args:
        name: ``adamw``, ``sgd`` or ``lars``.
        lr: by default :func:`learning_rate` of ``batch_size`` (over all devices).
        weight_decay: by default 0.05, 5e-4 and 1e-6 in the order of the names.
        momentum: of SGD and LARS; AdamW's first beta. 0.9 by default.
        beta2: AdamW's second beta.
        lr_scales: multipliers of the rate by prefix of parameter names (``{"encoder.": 0.1}``); the longest
            that fits counts.

    Raises:
        OptionError: for an unknown name, a prefix that fits nothing, or a method without trainable
            parameters.
    """
    if name not in WEIGHT_DECAY:
        raise unknown("optimizer", name, WEIGHT_DECAY)
    lr = learning_rate(name, batch_size) if lr is None else lr
    decay = WEIGHT_DECAY[name] if weight_decay is None else weight_decay
    momentum = MOMENTUM[name] if momentum is None else momentum
    if not 0 <= momentum < 1:
        raise OptionError(f"momentum must be in [0, 1), not {momentum}")
    groups = parameter_groups(method, decay, lr_scales or {})
    fused = all(p.device.type in FUSED and p.is_floating_point() for group in groups for p in group["params"])
    optimiser: Optimizer
    if name == "adamw":
        optimiser = torch.optim.AdamW(groups, lr, betas=(momentum, beta2), weight_decay=decay, fused=fused)
    elif name == "sgd":
        optimiser = torch.optim.SGD(groups, lr, momentum=momentum, weight_decay=decay, fused=fused)
    else:
        from timm.optim import Lars

        for group in groups:
            group["always_adapt"] = group["adapt"]
        optimiser = Lars(groups, lr, momentum=momentum, weight_decay=decay)
    _keep_layout(optimiser)
    return optimiser


def parameter_groups(method: nn.Module, weight_decay: float, lr_scales: Mapping[str, float]) -> list[dict[str, Any]]:
    """Trainable parameters by whether they decay and by ``lr_scale``; see :func:`make_optimiser`."""
    spared = {  # by full name
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in method.named_modules()
        if callable(getattr(module, "no_weight_decay", None))
        for name in module.no_weight_decay()
    }
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        if not parameter.requires_grad:
            continue
        prefix = max((p for p in lr_scales if name.startswith(p)), key=len, default=None)
        scale = 1.0 if prefix is None else lr_scales[prefix]
        groups.setdefault((parameter.ndim > 1 and name not in spared, scale), []).append(parameter)
    for prefix in lr_scales:
        if not any(name.startswith(prefix) for name, _ in method.named_parameters()):
            raise unknown("prefix of parameters in lr_scales", prefix, [n for n, _ in method.named_children()])
    if not groups:
        raise OptionError(f"{type(method).__name__} has no trainable parameters")
    return [
        {"params": rows, "weight_decay": weight_decay if decays else 0.0, "lr_scale": scale, "adapt": decays}
        for (decays, scale), rows in groups.items()
    ]


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of every group, times the group's ``lr_scale``."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def _keep_layout(optimiser: Optimizer) -> None:
    """Before the step that follows a load, lay the loaded state out in memory as its parameters are.

    The fused steps walk parameter and state in the order of memory: a state that was saved by a run with
    another memory layout would silently be read in the wrong order.
    """
    loaded = False

    def arm(_: Optimizer) -> None:
        nonlocal loaded
        loaded = True

    def align(optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        nonlocal loaded
        if not loaded:
            return
        loaded = False
        for parameter, state in optimiser.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    optimiser.register_load_state_dict_post_hook(arm)
    optimiser.register_step_pre_hook(align)
