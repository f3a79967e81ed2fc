"""Dispersive loss: features inside a network that are pushed apart while it learns something else."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.dispersion import Dispersion, DispersiveLoss
from tacit.objectives.flow import FlowMatching
from tacit.parts.decoder import TokenDecoder, position_code
from tacit.parts.draws import Draws
from tacit.parts.features import captured
from tacit.parts.tokens import TokenEncoder
from tacit.registry import register
from tacit.views.base import alike

CODE = 64
"""Length of the code of the time."""


class Dispersed(nn.Module):
    """Any network, with a dispersive loss on the features of one of its layers.

    It is called as the network is and gives what the network gives; :meth:`dispersion` is then a term for the loss::

        network = Dispersed(network, "blocks.2")
        loss = mse(network(x, t), target) + network.dispersion()

    Args:
        network: any module.
        layer: the name of a module inside it that gives ``[B, ...]``, e.g. a transformer block: of all blocks the
            paper takes the one at a quarter of the depth, and its PyTorch code the last.
        weight: of the loss; the paper has 0.5 (its PyTorch code 0.25, with temperature 1).
        kind, temperature, margin: of :class:`tacit.objectives.dispersion.DispersiveLoss`.

    Raises:
        OptionError: if there is no such layer.
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        *,
        weight: float = 0.5,
        kind: Dispersion = "l2",
        temperature: float = 0.5,
        margin: float = 1.0,
    ) -> None:
        super().__init__()
        with captured(network, layer):  # says at once if there is no such layer
            self.layer = layer
        self.network = network
        self.weight = weight
        self.objective = DispersiveLoss(kind, temperature, margin)
        self._features: list[Tensor] = []

    def forward(self, *args: Any, **named: Any) -> Any:
        """What the network gives."""
        with captured(self.network, self.layer) as self._features:
            return self.network(*args, **named)

    def dispersion(self) -> Tensor:
        """``weight`` times the dispersive loss of the last call, summed where the layer ran several times; once.

        Raises:
            OptionError: if the layer has not run since the last time.
        """
        features, self._features = self._features, []
        if not features:
            raise OptionError(f"layer '{self.layer}' has not run: call the network before its dispersion")
        return self.weight * torch.stack([self.objective(z) for z in features]).sum()


@register(
    "dispersive",
    kind="method",
    family="redundancy",
    title="Diffuse and Disperse: Image Generation with Representation Regularization",
    year=2025,
    url="https://arxiv.org/abs/2506.09027",
    basis="code",
)
class Dispersive(Method):
    """Flow matching on tokens by encoder and decoder; the encoder's features are pushed apart over the batch.

    With noise e and a time t uniform in [0, 1], the encoder sees the tokens of (1 - t) x + t e, a small decoder
    predicts from the encoded tokens the velocity e - x token by token, and a dispersive loss regularises the features.
    The encoder is the first part of a denoiser, as the paper's regularised block lies at a quarter of its depth: what
    the last layers of one hold is noise and pixels again. The code of the time is zero at t = 0, so that the clean
    samples that are embedded later are seen as in training. For a generator of your own, :class:`Dispersed` adds the
    same loss to any network. The features of all ranks are compared; the paper compares those of one device.

    Args:
        encoder: an encoder with tokens (:class:`tacit.parts.tokens.TokenEncoder`).
        layer: the module inside the encoder whose features are pushed apart, e.g. ``model.blocks.0``; empty: the
            encoded tokens.
        weight: of the dispersive loss; the paper has 0.5.
        kind: ``l2``, ``cosine``, ``hinge`` or ``covariance``.
        temperature, margin: see :class:`tacit.objectives.dispersion.DispersiveLoss`.
        width, depth, heads: of the decoder.

    Raises:
        OptionError: for an encoder without tokens, or without such a layer.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        layer: str = "",
        weight: float = 0.5,
        kind: Dispersion = "l2",
        temperature: float = 0.5,
        margin: float = 1.0,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenEncoder):
            raise OptionError(f"dispersive needs an encoder with tokens, which {type(encoder).__name__} is not")
        with captured(encoder, layer):
            self.layer = layer
        self.weight = weight
        self.time = nn.Linear(CODE, encoder.dim, bias=False)
        self.velocity = TokenDecoder(encoder.dim, encoder.target_dim, width, depth, heads)
        self.velocity.mask_token.requires_grad_(False)  # no token is hidden
        self.flow = FlowMatching()
        self.objective = DispersiveLoss(kind, temperature, margin)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,) = batch["views"]
        x = alike(view, "dispersive")
        draws = Draws(device=x.device)
        noise = draws.normal(len(x), *x.shape[1:]).to(x.dtype)
        t = draws.uniform(len(x), 1).to(x.dtype)
        share = t.view(-1, *[1] * (x.ndim - 1))
        tokens = self.encoder.tokenize(torch.lerp(x, noise, share))
        with torch.no_grad():
            target = self.encoder.tokenize(noise - x).target
        code = position_code(t, CODE) - position_code(torch.zeros_like(t), CODE)
        with captured(self.encoder, self.layer) as inner:
            encoded = self.encoder.encode_tokens(tokens.x + self.time(code)[:, None])
        features = inner if self.layer else [encoded]
        if not features:
            raise OptionError(f"layer '{self.layer}' takes no part in encoding tokens")
        dispersion = torch.stack([self.objective(z) for z in features]).sum()
        every = torch.arange(encoded.shape[1], device=x.device).expand(len(x), -1)
        found = self.velocity(encoded, every, tokens.position)
        return {"flow": self.flow(found, target), "dispersion": self.weight * dispersion}
