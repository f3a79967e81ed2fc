"""Pictures of clouds for the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tacit.modalities.drawing import dots
from tacit.modalities.points.columns import GROUPS, parts_of
from tacit.modalities.points.spec import Spec
from tacit.views.base import View

LOOK = np.array([[0.87, -0.5, 0.0], [0.2, 0.35, 0.92], [-0.46, -0.8, 0.4]])
"""Right, up, and towards the eye: from the front, somewhat to the side and above."""
WITHIN = 2.2
NEAR, FAR = np.array([10, 60, 110]), np.array([190, 215, 235])


def as_seen(view: View, spec: Spec, side: int = 96) -> NDArray[np.uint8]:
    """What the encoder saw: points from the front and somewhat above, far ones first.

    Points have their colours where there are such, else what is near is dark.

    Returns:
        uint8 ``[B, side, side, 3]``.
    """
    x = view["x"].detach().float().cpu().numpy()
    length = view["length"].cpu().numpy() if "length" in view else np.full(len(x), x.shape[2])
    seen = np.einsum("ij,bjn->bin", LOOK, x[:, :3])
    order = seen[:, 2].argsort(1)
    valid = np.take_along_axis(np.arange(x.shape[2]) < length[:, None], order, 1)
    xy = np.stack([np.take_along_axis(seen[:, i], order, 1) for i in (0, 1)], 2) / (2 * WITHIN) + 0.5
    names = [part for name in spec.features for part in parts_of(name)]
    if "colours" in spec.features:
        first = names.index(GROUPS["colours"][0])
        mean, std = (np.array(v[first : first + 3])[:, None] for v in (spec.mean, spec.std))
        tint = (x[:, 3 + first : 6 + first] * std + mean).clip(0, 1) * 255
        colour = np.take_along_axis(tint, order[:, None], 2).transpose(0, 2, 1)
    else:
        depth = (np.take_along_axis(seen[:, 2], order, 1) / (2 * WITHIN) + 0.5).clip(0, 1)[..., None]
        colour = FAR + (NEAR - FAR) * depth
    return dots(xy, colour.round().astype(np.uint8), valid, side)


def caption(stored: NDArray[np.uint8]) -> str:
    """What a reader must know to read the pictures."""
    return "Clouds are seen from the front and somewhat above; without colours of their own near points are dark."
