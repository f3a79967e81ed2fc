"""SDSC: restore series from masked copies and neighbours, measured by what overlaps with the same sign."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.signals import NegativePearson, SignalDice, centred
from tacit.objectives.supcon import SupCon
from tacit.parts import ranks
from tacit.parts.draws import Draws
from tacit.parts.heads import Norm, mlp
from tacit.parts.lengths import inside
from tacit.parts.spans import geometric_spans
from tacit.parts.tokens import TokenEncoder, encoded, pooled, tokens_of
from tacit.registry import register
from tacit.views.base import View, join

Distance = Literal["hybrid", "sdsc", "mse", "mae", "pearson"]


@register(
    "sdsc",
    kind="method",
    family="reconstruction",
    title="SDSC: A Structure-Aware Metric for Semantic Signal Representation Learning",
    year=2025,
    url="https://arxiv.org/abs/2507.14516",
    basis="code",
    modalities=("series",),
)
class SDSC(Method):
    """Each series and masked copies of it are encoded. All of one series attract each other; and each series is
    restored from the tokens of all the others in the batch, weighted by how near these are. What is restored is
    compared by SDSC.

    The frame is SimMTM (Dong et al. 2023); the paper changes its distance alone. Series are restored at zero mean and
    unit variance each, so that a sign means something; what the encoder sees is left as it is.

    Args:
        encoder: one that cuts a series into tokens of some steps each (``patch``).
        distance: ``sdsc``; ``mse``, ``mae`` or ``pearson`` (one minus the correlation) in its place; or ``hybrid``, the
            squared error and SDSC together. Zero restored is a weak point of SDSC, which ``hybrid`` gets away from.
        alpha, scaled: see :class:`tacit.objectives.signals.SignalDice`.
        copies: masked copies of each series.
        share: of each copy that is masked, in (0, 1).
        span: steps masked in a row, on average.
        temperature: of both the contrast and the weights.
        out: width of the projection that nearness is measured in.
        norm: normalisation in the projector.
        weighted: whether the terms have learned weights, ``L / 2p^2 + log(1 + p^2)`` each, as in the authors' code.

    Raises:
        OptionError: for an encoder without such tokens, or an impossible value.
    """

    recipe: ClassVar[str] = "plain"
    tokens: ClassVar[bool] = True
    preferred: ClassVar[str | None] = "patch"
    projector: nn.Module

    def __init__(
        self,
        encoder: nn.Module,
        *,
        distance: Distance = "hybrid",
        alpha: float = 10.0,
        scaled: bool = False,
        copies: int = 3,
        share: float = 0.5,
        span: float = 3.0,
        temperature: float = 0.2,
        out: int = 128,
        norm: Norm = "batch",
        weighted: bool = True,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder) or not hasattr(encoder, "patch"):
            raise OptionError(
                f"sdsc needs an encoder with steps as tokens, which {type(encoder).__name__} is not; say --encoder "
                "patch"
            )
        if copies < 1:
            raise OptionError(f"copies must be at least 1, not {copies}")
        geometric_spans(1, 1, 1, share, span, Draws.seeded(0))  # raises for what cannot be
        self.copies, self.share, self.span, self.temperature = copies, share, span, temperature
        self.projector = mlp([self.dim, self.dim, out], norm)
        self.decoder = nn.Linear(self.dim, encoder.target_dim)
        dice = SignalDice(alpha, scaled=scaled)
        distances: dict[str, nn.Module] = {
            "hybrid": nn.ModuleDict({"mse": Error(2), "sdsc": dice}),
            "sdsc": nn.ModuleDict({"sdsc": dice}),
            "mse": nn.ModuleDict({"mse": Error(2)}),
            "mae": nn.ModuleDict({"mae": Error(1)}),
            "pearson": nn.ModuleDict({"pearson": NegativePearson()}),
        }
        self.distances: nn.ModuleDict = distances[distance]  # type: ignore[assignment]
        self.contrast = SupCon(temperature)
        self.weights = nn.Parameter(torch.ones(1 + len(self.distances))) if weighted else None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,) = batch["views"]
        z, target, restored, known = self.restored(view, Draws(device=view["x"].device))
        losses = {"contrast": self.contrast(*z.unbind())}
        losses |= {name: distance(restored, target, known) for name, distance in self.distances.items()}
        if self.weights is None:
            return losses
        power = self.weights.square()
        return {name: 0.5 * value / power[i] + (1 + power[i]).log() for i, (name, value) in enumerate(losses.items())}

    def restored(self, view: View, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """What a batch of series looks like from its neighbours.

        Returns:
            projections of the series and their copies ``[1 + copies, B, out]``; the series at zero mean and unit
            variance, and restored, ``[B, C, T]``; which steps are real, bool ``[B, 1, T]``, or None.

        Raises:
            ValueError: for fewer than two series, which have no neighbours.
        """
        x = view["x"]
        count, channels, steps = x.shape
        if count < 2:
            raise ValueError("restoring a series from others needs a batch of at least 2")
        plain: View = {key: view[key] for key in ("x", "length") if key in view}
        hidden = [geometric_spans(count, channels, steps, self.share, self.span, draws) for _ in range(self.copies)]
        everything = join([plain, *(plain | {"x": x.masked_fill(mask, 0)} for mask in hidden)])
        tokens = tokens_of(self.encoder, everything)
        found = encoded(self.encoder, tokens)
        if tokens.valid is not None:
            found = found.masked_fill(~tokens.valid[..., None], 0)
        z = self.projector(pooled(found, tokens.valid))
        near = F.normalize(z.float(), dim=1)
        everyone = gathered(found)
        rank, rows = ranks.world()[0], torch.arange(count, device=x.device)
        nearness = near[:count] @ ranks.gather(near).T / self.temperature
        nearness = nearness.index_put((rows, rows + rank * len(near)), nearness.new_tensor(-torch.inf))
        weight = nearness.softmax(1).to(found.dtype)
        mixed = (weight @ everyone.flatten(1)).view(count, *everyone.shape[1:])[:, : found.shape[1]]
        made = self.decoder(mixed)
        lines = made.unflatten(2, (channels, -1)).permute(0, 2, 1, 3).flatten(2)[..., :steps]
        known = inside(view["length"], steps)[:, None] if "length" in view else None
        target = centred(x.float(), known)
        real = steps if known is None else known.sum(2, keepdim=True)
        scale = (target.square().sum(2, keepdim=True) / real + 1e-5).sqrt()
        return z.unflatten(0, (-1, count)), target / scale, lines, known


def gathered(tokens: Tensor) -> Tensor:
    """Tokens of all ranks, of which each may have padded its own to another length: ``[R * B, N, D]``."""
    if ranks.world()[1] == 1:
        return tokens
    longest = int(ranks.gather(torch.tensor([tokens.shape[1]], device=tokens.device)).max())
    return ranks.gather(F.pad(tokens, (0, 0, 0, longest - tokens.shape[1])))


class Error(nn.Module):
    """Mean over known numbers of |prediction - target| to a power, each series counting the same."""

    def __init__(self, power: int) -> None:
        super().__init__()
        self.power = power

    def forward(self, prediction: Tensor, target: Tensor, known: Tensor | None) -> Tensor:
        error = (prediction.float() - target).abs() ** self.power
        if known is None:
            return error.mean()
        return (error.masked_fill(~known, 0).mean(1).sum(1) / known.sum((1, 2))).mean()
