"""G-SimCLR: SimCLR on batches whose samples lie in different clusters of an autoencoder's latents."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from tacit.errors import OptionError
from tacit.methods.base import Samples
from tacit.methods.contrastive.simclr import SimCLR
from tacit.parts import ranks
from tacit.parts.batching import spread_groups
from tacit.parts.denoising import latents_of
from tacit.parts.heads import Norm, mlp
from tacit.parts.kmeans import kmeans
from tacit.registry import register


@register(
    "g-simclr",
    kind="method",
    family="contrastive",
    title="G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling",
    year=2020,
    url="https://arxiv.org/abs/2009.12007",
    basis="code",
    modalities=("image",),
)
class GSimCLR(SimCLR):
    """Before training, a denoising autoencoder's latents are clustered; a batch takes each cluster once.

    Every epoch composes the batches anew. Where a batch is larger than the number of clusters that have samples left,
    clusters repeat as little as can be. With true classes fewer than a batch has samples, batches cannot be free of
    pairs of one class: what is avoided is near duplicates. The autoencoder sees the training data alone, which it keeps
    as 8-bit pixels at the size of the views while it trains.

    Args:
        encoder: gives ``[B, dim]``.
        hidden, out: widths of the projector ``dim -> hidden -> hidden // 2 -> out``; the paper has 256 and 50.
        temperature: of NT-Xent; the paper has 0.1.
        clusters: of k-means; the paper has as many as a batch has samples, 64. Fewer samples give fewer clusters.
        autoencoder_epochs: at most; the paper has 100, and stops as here when two epochs in a row bring nothing.
        norm: normalisation in the projector; the paper has none.
    """

    cluster: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        hidden: int = 256,
        out: int = 50,
        temperature: float = 0.1,
        clusters: int = 64,
        autoencoder_epochs: int = 20,
        norm: Norm = "none",
    ) -> None:
        super().__init__(encoder, hidden=hidden, out=out, temperature=temperature, norm=norm)
        if clusters < 2:
            raise OptionError(f"clusters must be at least 2, not {clusters}")
        if autoencoder_epochs < 1:
            raise OptionError(f"autoencoder_epochs must be at least 1, not {autoencoder_epochs}")
        self.projector = mlp([self.dim, hidden, max(1, hidden // 2), out], norm)
        self.clusters, self.autoencoder_epochs = clusters, autoencoder_epochs

    def sized(self, count: int) -> None:
        self.register_buffer("cluster", torch.full((count,), -1))

    def begin(self, samples: Samples) -> None:
        """Cluster the latents of an autoencoder of all samples."""
        low = min(float(batch["views"][0]["x"].min()) for batch in samples())
        high = max(float(batch["views"][0]["x"].max()) for batch in samples())
        scale = 255 / max(high - low, 1e-12)
        pixels = [((batch["views"][0]["x"] - low) * scale).round().to(torch.uint8).cpu() for batch in samples()]
        images = torch.cat(pixels)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        found = latents_of(images, self.cluster.device, generator, self.autoencoder_epochs)
        count = min(self.clusters, len(images))
        if count < self.clusters:
            warnings.warn(f"{len(images)} samples make {count} clusters, not {self.clusters}", stacklevel=2)
        labels = kmeans(found, count, generator)
        # Rounding differs between devices, and all ranks must compose the same batches.
        self.cluster = ranks.total(labels if ranks.world()[0] == 0 else torch.zeros_like(labels))

    def arrange(self, order: Tensor, batch: int) -> Tensor:
        """The epoch in batches of different clusters."""
        return order if bool((self.cluster < 0).any()) else spread_groups(order, self.cluster, batch)
