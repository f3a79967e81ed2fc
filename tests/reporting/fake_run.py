"""A run folder as a finished training leaves it, with real digits for pictures and plausible numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from tacit.reporting import make_gallery

STEPS = 1400


def digits(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Digits three times as large at random places of a 32×32 canvas: uint8 ``[n, 1, 32, 32]`` and labels."""
    random = np.random.default_rng(seed)
    data = load_digits()
    chosen = random.permutation(len(data.target))[:count]
    canvas = np.zeros((len(chosen), 1, 32, 32), np.uint8)
    for i, picture in enumerate(data.images[chosen]):
        top, left = random.integers(0, 9, 2)
        canvas[i, 0, top : top + 24, left : left + 24] = np.kron(picture / 16 * 255, np.ones((3, 3)))
    return canvas, data.target[chosen].astype(np.int64)


def embeddings_of(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Thirty-two principal components of the same digits, where they stand unmoved: neighbours look alike."""
    data = load_digits()
    chosen = np.random.default_rng(seed).permutation(len(data.target))[:count]
    return PCA(32, random_state=0).fit_transform(data.data)[chosen].astype(np.float32)


def write_gallery(folder: Path, count: int = 300, channels: int = 1, labelled: bool = True, **given: Any) -> None:
    """``gallery.npz`` of ``count`` digits; ``given`` replaces arguments of ``make_gallery``."""
    pictures, labels = digits(count)
    pictures = np.concatenate([np.roll(pictures, 2 * c, axis=3) for c in range(channels)], axis=1)
    sources = np.arange(min(8, count))
    views = np.stack([255 - np.roll(pictures[sources], (3, -4), (2, 3)), pictures[sources][:, :, ::-1]])
    arguments: dict[str, Any] = {
        "thumbnails": pictures,
        "names": [f"digits/{label}/{i:04d}.png" for i, label in enumerate(labels)],
        "labels": labels if labelled else None,
        "classes": [str(c) for c in range(10)] if labelled else None,
        "embeddings": embeddings_of(count),
        "views": views,
        "view_sources": sources,
    }
    make_gallery(folder, **{**arguments, **given})


def write_run(folder: Path, count: int = 300, collapsed: bool = False, **gallery: Any) -> Path:
    """The whole folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    _json(folder / "config.json", _config())
    _json(
        folder / "environment.json",
        {
            "tacit": "0.1.0",
            "python": "3.12.4",
            "torch": "2.12.0",
            "platform": "Linux-6.1-x86_64",
            "cpu": "AMD EPYC 9B14",
            "cores": 2,
            "memory_gib": 23.5,
            "gpu": None,
        },
    )
    step = np.arange(10, STEPS + 1, 10)
    part = step / STEPS
    invariance = 9 * np.exp(-4 * part) + 4 + random.normal(0, 0.25, len(step))
    redundancy = 14 * np.exp(-6 * part) + 3 + random.normal(0, 0.3, len(step))
    _csv(
        folder / "metrics.csv",
        {
            "step": step,
            "epoch": step // 14,
            "lr": 1e-3 * np.minimum(1, 10 * part) * (0.5 + 0.5 * np.cos(np.pi * part)),
            "loss": invariance + redundancy,
            "invariance": invariance,
            "redundancy": redundancy,
            "grad_norm": 3 * np.exp(-2 * part) + random.gamma(2, 0.2, len(step)),
        },
    )
    _csv(
        folder / "speed.csv",
        {
            "step": step,
            "seconds": 0.09 * step,
            "samples_per_second": random.normal(1420, 25, len(step)),
            "waiting_share": random.normal(0.02, 0.002, len(step)),
        },
    )
    looked = np.arange(0, STEPS + 1, 35)
    rank = 4 + 18.5 * (1 - np.exp(-looked / 300))
    spread = 0.35 + 0.5 * (1 - np.exp(-looked / 200))
    if collapsed:
        rank = np.where(looked > 700, 1 + (rank - 1) * np.exp(-(looked - 700) / 60), rank)
        spread = np.where(looked > 700, spread * np.exp(-(looked - 700) / 90), spread)
    _csv(
        folder / "watch.csv",
        {
            "step": looked,
            "embedding_rank": rank,
            "embedding_spread": spread,
            "projection_rank": rank * 0.7,
            "projection_spread": spread * 0.9,
            "alignment": 0.2 + 0.8 * np.exp(-looked / 400),
            "uniformity": -3 * (1 - np.exp(-looked / 250)),
        },
    )
    healthy = {
        "state": "healthy",
        "since": 35,
        "text": "healthy: embedding has effective rank 22.4 of 32, spread 0.85",
    }
    bad = {
        "state": "dimensional collapse",
        "since": 805,
        "text": "dimensional collapse since step 805: embedding has effective rank 1.1 of 32; lower lr",
    }
    _json(
        folder / "summary.json",
        {
            "status": "finished",
            "steps": STEPS,
            "seconds": 126.4,
            "verdict": bad if collapsed else healthy,
            "skipped": [
                ["digits/7/broken.png", "truncated after 312 bytes"],
                ["digits/notes.png", "not an image"],
            ],
        },
    )
    _json(folder / "evaluation.json", _evaluation())
    write_gallery(folder, count, **gallery)
    return folder


def _config() -> dict[str, Any]:
    return {
        "tacit": "0.1.0",
        "seed": 0,
        "modality": "image",
        "data": {"path": "data/scattered digits", "count": 1437, "shape": [1, 32, 32], "skipped": 2},
        "reading": {"image_size": 32},
        "spec": {"channels": 1, "size": [32, 32], "mean": [0.121], "std": [0.287]},
        "method": {"name": "barlow-twins", "options": {"weight": 0.0051}},
        "encoder": {"name": "small-conv", "options": {"width": 64}},
        "views": {"recipe": "pair", "options": {}},
        "schedule": {},
        "training": {
            "epochs": 100,
            "batch_size": 256,
            "optimizer": "adamw",
            "lr": 0.001,
            "precision": "32-true",
        },
    }


def _evaluation() -> dict[str, Any]:
    def row(accuracy: float) -> dict[str, float]:
        return {"accuracy": accuracy, "low": accuracy - 0.041, "high": accuracy + 0.037}

    return {
        "knn": {"raw": row(0.411), "random": row(0.463), "trained": row(0.928)},
        "linear": {"raw": row(0.522), "random": row(0.561), "trained": row(0.951)},
        "rankme": {"raw": 88.2, "random": 6.4, "trained": 22.4},
        "n_train": 1437,
        "n_test": 360,
        "classes": 10,
        "k": 20,
        "warnings": ["class 8 has only 4 test samples"],
    }


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _csv(path: Path, columns: dict[str, Any]) -> None:
    rows = [
        ",".join(columns),
        *(",".join(f"{v:.8g}" for v in row) for row in zip(*columns.values(), strict=True)),
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
