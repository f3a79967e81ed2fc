"""Encoders of point clouds."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from tacit.errors import unknown
from tacit.modalities.points.pointnet import PatchNet, PointNet
from tacit.modalities.points.spec import Spec
from tacit.modalities.points.voxels import VoxelNet
from tacit.options import settle
from tacit.parts.wrapping import wrapped


def encoder_names() -> list[str]:
    """Names of the encoders: ``pointnet`` (neighbourhoods within neighbourhoods), ``transformer`` (over patches, which
    are its tokens) and ``voxels`` (a sparse U-Net, which also gives something for every point)."""
    return sorted(NETWORKS)


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``transformer`` where tokens are needed, else ``pointnet``."""
    return "transformer" if tokens else "pointnet"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder ``[B, 3 + F, N] -> [B, dim]`` of clouds of any number of points.

    Args:
        name: one of :func:`encoder_names`.
        options: of :class:`tacit.modalities.points.pointnet.PointNet`,
            :class:`tacit.modalities.points.pointnet.PatchNet` or :class:`tacit.modalities.points.voxels.VoxelNet`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name not in NETWORKS:
        raise unknown("encoder", name, encoder_names())
    network = NETWORKS[name]
    return network(spec, **settle(options, network, f"encoder {name}", skip=1))


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder, tried on random points to see what it gives.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    generator = torch.Generator().manual_seed(0)
    return wrapped(module, torch.randn(2, spec.channels, spec.points, generator=generator))


NETWORKS: dict[str, type[nn.Module]] = {"pointnet": PointNet, "transformer": PatchNet, "voxels": VoxelNet}
