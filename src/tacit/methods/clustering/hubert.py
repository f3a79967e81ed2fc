"""HuBERT: say which cluster the hidden stretches of a recording belong to."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import OptionError, RunError
from tacit.methods.base import Method, Samples
from tacit.objectives.units import HiddenUnits
from tacit.parts.draws import Draws
from tacit.parts.lengths import inside
from tacit.parts.masks import chosen_first
from tacit.parts.spans import span_starts, spans_from
from tacit.parts.tokens import encoded, tokens_of
from tacit.parts.transformer import TokenNet
from tacit.registry import register
from tacit.views.base import View


@register(
    "hubert",
    kind="method",
    family="clustering",
    title="HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units",
    year=2021,
    url="https://arxiv.org/abs/2106.07447",
    basis="code",
    modalities=("audio",),
)
class HuBERT(Method):
    """Before training, frames of all recordings are clustered by k-means; then spans of tokens are hidden, and the
    encoder says which cluster each hidden token belongs to.

    The first iteration clusters cepstra. A later one clusters what a layer of an earlier run's encoder gives:
    ``start=RUN`` names that run, whose encoder must have the same options. Clusters of a view are found as it is
    made, so that any recipe of views will do.

    Args:
        encoder: one with tokens of samples and their cepstra (``waveform``).
        clusters: K, the number of clusters. The paper has 100 at first and then 500.
        start: folder of the run whose encoder is clustered; none: cepstra.
        layer: of that encoder; by default the middle one. The paper has 6 of 12.
        sampled: frames that k-means sees, at most.
        share: of the tokens in the spans that are hidden, where these would not overlap.
        span: length of a span, in tokens.
        alpha: weight of hidden tokens beside seen ones, in [0, 1]; the paper has 1.
        out: width of the projection that is compared with the clusters' codes.
        temperature: of that comparison.
        penalty: weight of the mean square of what the convolutions give.
        slow: factor to the gradient of the convolutions.

    Raises:
        OptionError: for an encoder without such tokens, or an impossible value.
        RunError: for a ``start`` that is no run, or one of another encoder.
    """

    recipe: ClassVar[str] = "crop"
    tokens: ClassVar[bool] = True
    preferred: ClassVar[str | None] = "waveform"
    centres: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        clusters: int = 100,
        start: str | None = None,
        layer: int | None = None,
        sampled: int = 100_000,
        share: float = 0.8,
        span: int = 10,
        alpha: float = 1.0,
        out: int = 256,
        temperature: float = 0.1,
        penalty: float = 10.0,
        slow: float = 0.1,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, TokenNet) or not hasattr(encoder, "surface"):
            raise OptionError(
                f"hubert needs an encoder of samples that knows their cepstra, which {type(encoder).__name__} is not; "
                "say --encoder waveform"
            )
        if clusters < 2 or span < 1 or sampled < clusters:
            raise OptionError(
                "there must be at least 2 clusters, spans of at least 1 token, and as many sampled frames as clusters, "
                f"not {clusters}, {span} and {sampled}"
            )
        if not 0 < share < 1:
            raise OptionError(f"share is that of the hidden tokens, between 0 and 1, not {share}")
        depth = len(encoder.transformer.layers)
        self.layer = layer if layer is not None else (depth + 1) // 2
        if not 1 <= self.layer <= depth:
            raise OptionError(f"layer must be from 1 to {depth}, not {layer}")
        self.clusters, self.sampled, self.share, self.span = clusters, sampled, share, span
        self.penalty, self.slow = penalty, slow
        self.earlier: Any = None if start is None else _loaded(encoder, Path(start))
        width: Any = encoder.surface_dim if start is None else encoder.dim
        self.register_buffer("centres", torch.zeros(clusters, width))
        self.mask_token = nn.Parameter(torch.rand(self.dim))
        self.project = nn.Linear(self.dim, out)
        self.codes = nn.Parameter(torch.rand(clusters, out))
        self.objective = HiddenUnits(alpha, temperature)

    def sized(self, count: int) -> None:
        self.count = count

    @torch.no_grad()
    def begin(self, samples: Samples) -> None:
        from sklearn.cluster import MiniBatchKMeans

        each = max(1, -(-self.sampled // self.count))
        draws, rows = Draws.seeded(0x4B3A), []
        for batch in samples():
            found, valid = self.features(batch["views"][0])
            found, valid = found.cpu(), valid.cpu()
            take = valid.sum(1).clamp_max(each)
            places, real = chosen_first(draws.along(*valid.shape), take, valid)
            rows.append(found.gather(1, places[..., None].expand(-1, -1, found.shape[2]))[real])
        frames = torch.cat(rows)[: self.sampled]
        if len(frames) < self.clusters:
            raise OptionError(f"{self.clusters} clusters need as many frames, and there are {len(frames)}: give fewer")
        kmeans = MiniBatchKMeans(
            self.clusters, init="k-means++", batch_size=10_000, n_init=20, max_no_improvement=100,
            reassignment_ratio=0.0, random_state=0,
        )  # fmt: skip
        self.centres.copy_(torch.from_numpy(kmeans.fit(frames.numpy()).cluster_centers_))

    @torch.no_grad()
    def features(self, view: View) -> tuple[Tensor, Tensor]:
        """What is clustered, float32 ``[B, N, F]``, and which of it is real, bool ``[B, N]``."""
        view = view | {"x": view["x"].float()}  # in training with half precision it is not
        with torch.autocast(view["x"].device.type, enabled=False):
            if self.earlier is None:
                found = self.encoder.surface(view["x"], view.get("length"))
                if "length" not in view:
                    return found, torch.ones(found.shape[:2], dtype=torch.bool, device=found.device)
                hop: int = self.encoder.hop
                return found, inside((view["length"] + hop - 1) // hop, found.shape[1])
            tokens = tokens_of(self.earlier, view)
            valid, h = tokens.valid, tokens.x
            for layer in self.earlier.transformer.layers[: self.layer]:
                h = layer(h, src_key_padding_mask=None if valid is None else ~valid)
            return h, torch.ones(h.shape[:2], dtype=torch.bool, device=h.device) if valid is None else valid

    @torch.no_grad()
    def labels(self, view: View) -> Tensor:
        """The cluster of each token, int64 ``[B, N]``."""
        found, _ = self.features(view)
        with torch.autocast(found.device.type, enabled=False):
            distance = self.centres.square().sum(1) - 2 * found @ self.centres.T
        return distance.argmin(2)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        (view,) = batch["views"]
        encoder = self.encoder
        assert isinstance(encoder, TokenNet)
        labels = self.labels(view)
        pieces = encoder.cut(view["x"], view.get("length"))
        assert pieces.entry is not None
        entry = self.slow * pieces.entry + (1 - self.slow) * pieces.entry.detach()
        embedded = encoder.embed(dataclasses.replace(pieces, entry=entry))
        hidden = self.hide(pieces.valid, embedded)
        tokens = encoder.placed(pieces, torch.where(hidden[..., None], self.mask_token.to(embedded.dtype), embedded))
        given = self.project(encoded(encoder, tokens))
        losses = {"units": self.objective(given, self.codes, labels, hidden, pieces.valid)}
        if self.penalty:
            power = entry.float().square().mean(2)
            real = torch.ones_like(power) if pieces.valid is None else pieces.valid.to(power.dtype)
            losses["size"] = self.penalty * (power * real).sum() / real.sum()
        return losses

    def hide(self, valid: Tensor | None, embedded: Tensor) -> Tensor:
        """Which tokens are hidden, bool ``[B, N]``: at least one and never all of a recording of two or more."""
        samples, width = embedded.shape[:2]
        counts = torch.full((samples,), width, device=embedded.device) if valid is None else valid.sum(1)
        draws = Draws(device=embedded.device)
        spans = (self.share * counts / self.span + draws.uniform(samples)).long().clamp_min(1)
        hidden = spans_from(span_starts(counts, spans, self.span, width, draws), counts, self.span)
        shown = (draws.uniform(samples) * counts).long()
        everything = hidden.sum(1) == counts
        return hidden & ~(everything[:, None] & (torch.arange(width, device=embedded.device) == shown[:, None]))


def _loaded(encoder: nn.Module, folder: Path) -> nn.Module:
    """The encoder of an earlier run, frozen."""
    from safetensors.torch import load_file

    file = folder.expanduser() / "encoder.safetensors"
    if not file.is_file():
        raise RunError(f"start must be the folder of a finished run; there is no '{file}'")
    earlier = copy.deepcopy(encoder).requires_grad_(False).eval()
    try:
        earlier.load_state_dict(load_file(file))
    except (RuntimeError, ValueError, OSError):
        raise RunError(f"'{file}' is of another encoder: give encoder and its options as in that run") from None
    return earlier
