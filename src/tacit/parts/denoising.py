"""A small denoising autoencoder of images."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class DenoisingAutoencoder(nn.Module):
    """Three convolutions with pooling, and three with upsampling back, for images in [0, 1].

    Source: Chakraborty et al. 2020, G-SimCLR, section III-A: 3x3 convolutions of 32, 64 and 128 channels, each with
    batch norm, ReLU and a pooling of 2; the mirror image of it, then a convolution with a sigmoid.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(_stage(a, b) for a, b in pairwise((channels, 32, 64, 128)))
        self.up = nn.ModuleList(_stage(a, b) for a, b in pairwise((128, 128, 64, 32)))
        self.last = nn.Conv2d(32, channels, 3, padding=1)

    def latent(self, x: Tensor) -> Tensor:
        """The mean of the innermost maps over positions: ``[B, C, H, W] -> [B, 128]``."""
        return self._encode(x)[0].mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """The image as it comes back: ``[B, C, H, W]`` in [0, 1]."""
        x, sizes = self._encode(x)
        for stage, size in zip(self.up, reversed(sizes), strict=True):
            x = stage(functional.interpolate(x, size=size, mode="nearest"))
        return self.last(x).sigmoid()

    def _encode(self, x: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
        sizes = []
        for stage in self.down:
            sizes.append((x.shape[2], x.shape[3]))
            x = functional.max_pool2d(stage(x), 2, ceil_mode=True)
        return x, sizes


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def latents_of(
    images: Tensor,
    device: torch.device,
    generator: torch.Generator,
    epochs: int = 100,
    batch: int = 64,
    noise: float = 0.01,
    patience: int = 2,
) -> Tensor:
    """Train a :class:`DenoisingAutoencoder` on ``images`` and give the latents of all of them: float32 ``[N, 128]``.

    Adam at 1e-3 minimises the squared error to the clean image; a tenth of the images decide when to stop.

    Args:
        images: uint8 ``[N, C, H, W]``, N >= 2.
        device: where to train.
        generator: source of order and noise, on the CPU.
        epochs: at most.
        batch: images a step.
        noise: standard deviation of the noise on images in [0, 1].
        patience: epochs without a better validation error after which training stops.
    """
    order = torch.randperm(len(images), generator=generator)
    held = max(1, len(images) // 10)
    valid, train = order[:held], order[held:]
    network = DenoisingAutoencoder(images.shape[1]).to(device)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)

    def some(rows: Tensor) -> Tensor:
        return images[rows].to(device).float() / 255

    best, since, kept = float("inf"), 0, copy.deepcopy(network.state_dict())
    with torch.enable_grad():
        for _ in range(epochs):
            network.train()
            for rows in train[torch.randperm(len(train), generator=generator)].split(batch):
                clean = some(rows)
                noisy = clean + noise * torch.randn(clean.shape, generator=generator).to(device)
                loss = functional.mse_loss(network(noisy), clean)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            network.eval()
            with torch.no_grad():
                errors = [functional.mse_loss(network(some(r)), some(r), reduction="sum") for r in valid.split(512)]
            error = float(torch.stack(errors).sum())
            since = 0 if error < best else since + 1
            if error < best:
                best, kept = error, copy.deepcopy(network.state_dict())
            if since > patience:
                break
    network.load_state_dict(kept)
    with torch.no_grad():
        return torch.cat([network.eval().latent(some(rows)) for rows in torch.arange(len(images)).split(512)])
