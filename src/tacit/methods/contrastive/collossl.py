"""ColloSSL: devices that measure one thing at one time are each other's views."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method, Samples
from tacit.objectives.devices import MultiViewContrast
from tacit.parts import ranks
from tacit.parts.discrepancy import squared_mmd
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.registry import register
from tacit.views.base import View, alike
from tacit.views.bundle import Bundle, names_of

Selection = Literal["closest", "closest-only", "hard", "closest-random", "random"]
NEAR = 1e-6
"""Added to the distances of devices, whose inverse weighs negatives: two devices may measure the same."""


@register(
    "collossl",
    kind="method",
    family="contrastive",
    title="ColloSSL: Collaborative Self-Supervised Learning for Human Activity Recognition",
    year=2022,
    url="https://arxiv.org/abs/2202.00758",
    basis="code",
    modalities=("several",),
)
class ColloSSL(Method):
    """One device is the anchor; a device that moves alike gives the positives, windows of the same time, and others the
    negatives, windows of other times. Nothing is augmented.

    Devices are the parts of a sample, all of one kind and shape and encoded by one network (``--encoder shared``, which
    is the default here). How far a device is from the anchor is the squared maximum mean discrepancy of the batch's
    windows, as norms over ``channels`` at each step. A negative weighs 1 over its device's distance, a positive 1, and
    the anchor device itself, where it gives negatives, counts as half as far as the nearest.

    ``selection`` says which devices give what:

    * ``closest``: the nearest the positives, all others (the nearest too) and the anchor the negatives
    * ``closest-only``: the nearest both
    * ``hard``: the nearest the positives, the second and third nearest the negatives
    * ``closest-random``: the nearest the positives, a random one the negatives
    * ``random``: a random one the positives, and a random one the negatives, all weights equal

    Args:
        encoder: gives ``[B, dim]`` of each part.
        anchor: the device that the encoder is meant for, by the name of its part; the first by default.
        selection: see above.
        dynamic: whether distances are those of each batch, or of the whole data set from the start.
        channels: so many of each device's first channels are compared, e.g. the three of acceleration; 0: all.
        negatives: windows of each device that gives negatives, for each anchor.
        temperature: of the loss; the paper has 0.05.
        hidden, out: widths of a projector ``dim -> hidden -> out``; the paper has none, ``out=0``.
        norm: normalisation in the projector.

    Raises:
        OptionError: for an impossible value; while training, for views that are not one part each, fewer than two, an
            unknown anchor, or devices whose windows are not of one shape.
    """

    recipe: ClassVar[str] = "parts"
    preferred: ClassVar[str | None] = "shared"
    whole: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        anchor: str | None = None,
        selection: Selection = "closest",
        dynamic: bool = True,
        channels: int = 0,
        negatives: int = 1,
        temperature: float = 0.05,
        hidden: int = 128,
        out: int = 0,
        norm: Norm = "none",
    ) -> None:
        super().__init__(encoder)
        if channels < 0 or negatives < 1 or out < 0:
            raise OptionError(
                f"channels and out must be at least 0 and negatives at least 1, not {channels}, {out} and {negatives}"
            )
        self.anchor, self.selection, self.dynamic = anchor, selection, dynamic
        self.channels, self.negatives = channels, negatives
        self.projector = mlp([self.dim, hidden, out], norm) if out else None
        self.objective = MultiViewContrast(temperature)
        devices = len(getattr(encoder, "names", ()))
        if not dynamic and not devices:
            raise OptionError("dynamic=False needs an encoder that knows its parts by name, such as 'shared'")
        self.register_buffer("whole", torch.zeros(devices))

    def begin(self, samples: Samples) -> None:
        """Measure the devices' distances once, where they are not those of each batch."""
        if self.dynamic:
            return
        total, count = torch.zeros(()), 0
        for batch in samples():
            (view,) = batch["views"]
            bundle = view["x"]
            if not isinstance(bundle, Bundle):
                raise OptionError("collossl needs samples of several parts, one a device")
            if len(bundle) < 2:
                continue
            views = [{"x": bundle.only(name)} for name in bundle]
            total, count = total + self.distances(views, self._anchor(views)).cpu(), count + 1
        self.whole.copy_(total / max(count, 1))

    def loss(self, batch: Batch) -> Tensor:
        views: list[View] = batch["views"]
        first = self._anchor(views)
        draws = Draws(device=batch["index"].device)
        positive, negative, distance = self.chosen(views, first, draws)
        used = sorted({first, *positive, *negative})
        found = dict(zip(used, self.encode(*(views[i] for i in used)), strict=True))
        if self.projector is not None:
            found = {i: self.projector(h) for i, h in found.items()}
        count = len(batch["index"])
        everyone = {i: ranks.gather(found[i]) for i in negative}
        others = [everyone[i][_others(count, draws)] for i in negative for _ in range(self.negatives)]
        weights = torch.stack([1 / (distance[i] + NEAR) for i in negative for _ in range(self.negatives)])
        if self.selection == "random":
            weights = torch.ones_like(weights)
        ones = torch.ones(len(positive), device=weights.device, dtype=weights.dtype)
        positives = torch.stack([found[i] for i in positive])
        loss: Tensor = self.objective(found[first], positives, torch.stack(others), ones, weights)
        return loss

    def chosen(self, views: list[View], first: int, draws: Draws) -> tuple[list[int], list[int], Tensor]:
        """Which views give the positives and which the negatives, and the distance of each view ``[P]``."""
        distance = self.distances(views, first) if self.dynamic else self.whole
        order = [int(i) for i in distance.argsort().tolist() if i != first]
        distance = distance.clone()
        distance[first] = distance[order[0]] / 2

        def any_of() -> int:
            return order[int(draws.shared(1) * len(order))]

        choices = {
            "closest": lambda: ([order[0]], [*sorted(order), first]),
            "closest-only": lambda: ([order[0]], [order[0]]),
            "hard": lambda: ([order[0]], order[1:3] or [order[0]]),
            "closest-random": lambda: ([order[0]], [any_of()]),
            "random": lambda: ([any_of()], [any_of()]),
        }
        positive, negative = choices[self.selection]()
        return positive, negative, distance

    @torch.no_grad()
    def distances(self, views: list[View], first: int) -> Tensor:
        """Squared discrepancy of each device's windows from those of the anchor: ``[P]``, 0 for the anchor."""
        windows = [self._strength(view) for view in views]
        shapes = {tuple(rows.shape) for rows in windows}
        if len(shapes) > 1:
            raise OptionError(f"all devices must have windows of one length, and there are {sorted(shapes)}")
        return torch.stack([squared_mmd(windows[first], rows) for rows in windows])

    def _strength(self, view: View) -> Tensor:
        """The norm over the channels at each step, of the samples of all ranks: ``[B, T]``."""
        bundle: Bundle = view["x"]
        x = alike(next(iter(bundle.parts.values())), "collossl")
        if x.ndim < 3:
            raise OptionError(
                f"collossl needs devices with channels and time steps, not samples of shape {list(x.shape[1:])}"
            )
        x = x[:, : self.channels] if self.channels else x
        return ranks.gather(x.float().norm(dim=1).flatten(1))

    def _anchor(self, views: list[View]) -> int:
        names = [names_of(view) for view in views]
        if len(views) < 2 or any(name is None or len(name) != 1 for name in names):
            raise OptionError(
                "collossl needs a view for each of at least two devices, the parts of a sample: views 'parts'"
            )
        parts = [name[0] for name in names if name is not None]
        if self.anchor is None:
            return 0
        if self.anchor not in parts:
            raise OptionError(f"there is no device '{self.anchor}'; there are {', '.join(parts)}")
        return parts.index(self.anchor)


def _others(count: int, draws: Draws) -> Tensor:
    """For each of this rank's samples another one of all ranks' samples, each once: int64 ``[B]``."""
    order = draws.shared(count * ranks.world()[1]).argsort()
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return ranks.local(other)
