"""SSAST: pick and restore the hidden patches of a spectrogram."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError
from tacit.methods.base import Method
from tacit.objectives.reconstruction import MaskedError
from tacit.objectives.units import PatchMatching
from tacit.parts.draws import Draws
from tacit.parts.heads import mlp
from tacit.parts.masks import chosen_first
from tacit.parts.spans import cluster_mask
from tacit.parts.tokens import Tokens, encoded, rows_at
from tacit.parts.transformer import TokenNet
from tacit.registry import register


@register(
    "ssast",
    kind="method",
    family="reconstruction",
    title="SSAST: Self-Supervised Audio Spectrogram Transformer",
    year=2021,
    url="https://arxiv.org/abs/2110.09784",
    basis="code",
    modalities=("audio",),
)
class SSAST(Method):
    """Most patches of a spectrogram are hidden behind a learned vector. At each hidden place one head must pick the
    right patch among all that are hidden in the recording, and another restore it.

    Args:
        encoder: one that cuts a spectrogram into tokens on a grid (``spectrogram``).
        share: of the tokens that are hidden, in (0, 1). The paper hides 400 of 512.
        mask: ``clusters`` of neighbouring patches as in the paper, or ``tokens`` for each by itself, which the paper
            has for tokens of whole frames; by default ``clusters`` where there are patches.
        cluster: least and largest side of a cluster, in patches.
        weight: of restoring beside picking. ``matching=False`` leaves picking out, and a weight of 0 restoring.
        matching: whether patches are picked.
        softmax: see :class:`tacit.objectives.units.PatchMatching`.
        passes: 1: both heads look at one masked pass; 2: each has its own mask, as in the authors' code, at twice the
            price.

    Raises:
        OptionError: for an encoder without such tokens, or an impossible value.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True
    preferred: ClassVar[str | None] = "spectrogram"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        share: float = 0.78,
        mask: Literal["clusters", "tokens"] | None = None,
        cluster: tuple[int, int] = (3, 5),
        weight: float = 10.0,
        matching: bool = True,
        softmax: Literal["targets", "predictions"] = "targets",
        passes: int = 1,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenNet) or not hasattr(encoder, "rows"):
            raise OptionError(
                f"ssast needs an encoder with patches of a spectrogram as tokens, which {type(encoder).__name__} is "
                "not; say --encoder spectrogram"
            )
        if not 0 < share < 1:
            raise OptionError(f"share is that of the hidden tokens, between 0 and 1, not {share}")
        if not 1 <= cluster[0] <= cluster[1]:
            raise OptionError(f"cluster must be two sides, 1 <= least <= largest, not {cluster}")
        if weight < 0 or (weight == 0 and not matching):
            raise OptionError(f"weight must be at least 0, and above 0 without matching, not {weight}")
        if passes not in (1, 2):
            raise OptionError(f"passes must be 1 or 2, not {passes}")
        self.share, self.cluster, self.weight, self.passes = share, cluster, weight, passes
        self.rows: int = encoder.rows  # type: ignore[assignment]
        self.clustered = mask == "clusters" if mask is not None else self.rows > 1
        self.mask_token = nn.Parameter(nn.init.xavier_normal_(torch.empty(1, self.dim))[0])
        sizes = [self.dim, self.dim, encoder.target_dim]
        self.picker = mlp(sizes, "none") if matching else None
        self.restorer = mlp(sizes, "none") if weight else None
        self.picking, self.restoring = PatchMatching(softmax), MaskedError(normalise=False)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,) = batch["views"]
        draws = Draws(device=view["x"].device)
        seen = [self.hidden_pass(view, draws) for _ in range(self.passes)]
        losses = {}
        if self.picker is not None:
            tokens, places, real, found = seen[0]
            losses["matching"] = self.picking(self.picker(found), rows_at(tokens.target, places), real)
        if self.restorer is not None:
            tokens, places, real, found = seen[-1]
            known = None if tokens.known is None else rows_at(tokens.known, places)
            losses["restoring"] = self.weight * self.restoring(
                self.restorer(found), rows_at(tokens.target, places), real, known
            )
        return losses

    def hidden_pass(self, view: dict[str, Tensor], draws: Draws) -> tuple[Tokens, Tensor, Tensor, Tensor]:
        """The tokens of a view, the places that are hidden (``[B, K]``), which of these are real, and what the encoder
        gives there (``[B, K, D]``).

        Raises:
            ValueError: if no recording has two tokens.
        """
        encoder = self.encoder
        assert isinstance(encoder, TokenNet)
        pieces = encoder.cut(view["x"], view.get("length"))
        samples, width = pieces.target.shape[:2]
        counts = torch.full((samples,), width, device=draws.device) if pieces.valid is None else pieces.valid.sum(1)
        hide = torch.minimum((counts * self.share).round().long().clamp_min(1), counts - 1)
        if int(hide.max()) < 1:
            raise ValueError("hiding patches needs recordings of at least 2 tokens: use smaller patches")
        if self.clustered:
            places, real = cluster_mask(counts, hide, self.rows, self.cluster, width, draws)
        else:
            places, real = chosen_first(draws.along(samples, width), hide, pieces.valid)
        hidden = torch.zeros(samples, width, dtype=torch.bool, device=draws.device)
        hidden[torch.arange(samples, device=draws.device)[:, None].expand_as(places)[real], places[real]] = True
        embedded = encoder.embed(pieces)
        tokens = encoder.placed(pieces, torch.where(hidden[..., None], self.mask_token.to(embedded.dtype), embedded))
        return tokens, places, real, rows_at(encoded(encoder, tokens), places)
