"""What a run keeps for the report: a sample of its data with embeddings, and views as the encoder saw them."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch

from tacit.data import is_classes
from tacit.methods.base import Method, embed
from tacit.parts.draws import Draws, mix
from tacit.reporting.gallery import make_gallery
from tacit.training.plan import Plan
from tacit.views.base import Views

SAMPLES, SHOWN, SIDE = 1000, 12, 48


def showcase(plan: Plan, method: Method, views: Views, folder: Path) -> Path:
    """Write ``gallery.npz``: up to 1,000 samples as thumbnails with embeddings, and views of twelve of them.

    The method is expected on the CPU and in evaluation mode.
    """
    source, spec, seed = plan.source, plan.spec, plan.config["seed"]
    plots = importlib.import_module(f"{plan.kind.__name__}.plots")
    labels = source.labels if is_classes(source.labels) else None
    generator = torch.Generator().manual_seed(mix(seed, 0x6A11E))
    index = torch.randperm(len(source), generator=generator)[:SAMPLES].sort().values
    view = plan.kind.evaluation_view(spec)
    thumbnails, embeddings = [], []
    with torch.inference_mode():
        for batch in source.batches(128, index):
            thumbnails.append(plots.as_seen((seen := view(batch)[0]), spec, SIDE))
            embeddings.append(embed(method.encoder, seen).float().numpy())
        positions = torch.linspace(0, len(index) - 1, min(SHOWN, len(index))).long()
        made = views(source.batch(index[positions]), Draws.seeded(seed, 0x5E3))
    drawn = [plots.as_seen(v, spec, 2 * SIDE) for v in made]
    return make_gallery(
        folder,
        np.concatenate(thumbnails),
        [source.names[i] for i in index.tolist()],
        None if labels is None else labels[index].numpy(),
        source.classes if labels is not None else None,
        np.concatenate(embeddings),
        np.stack([picture for picture in drawn if picture.shape == drawn[0].shape]),
        positions.numpy(),
    )
