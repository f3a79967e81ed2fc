"""What the benchmarks share: real images where there are some, and one way to print and keep results."""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tacit.environment import facts
from tacit.modalities.image.synthetic import scattered_digits


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the option that every benchmark has."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    return parser


def cifar10(part: str, count: int | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """CIFAR-10 images uint8 ``[N, 3, 32, 32]`` and labels from ``cifar10-<part>.tar`` in ``TACIT_DATA``, or None.

    Taken evenly over the classes where ``count`` is less than all.
    """
    path = Path(os.environ.get("TACIT_DATA", "")) / f"cifar10-{part}.tar"
    if not path.is_file():
        return None
    rows: list[tuple[str, int, bytes]] = []
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                parts = Path(member.name).parts
                file = archive.extractfile(member)
                assert file is not None
                rows.append((parts[-2], int(Path(parts[-1]).stem), file.read()))
    rows.sort(key=lambda row: (row[1], row[0]))
    rows = rows[:count]
    classes = sorted({row[0] for row in rows})
    x = np.stack([np.asarray(Image.open(io.BytesIO(row[2])).convert("RGB")).transpose(2, 0, 1) for row in rows])
    return np.ascontiguousarray(x), np.array([classes.index(row[0]) for row in rows])


def images(count: int) -> tuple[np.ndarray, str]:
    """Images uint8 ``[count, 3, 32, 32]`` and what they are."""
    found = cifar10("train", count)
    if found is not None:
        return found[0], f"{count} images of CIFAR-10"
    return scattered_digits("train", count=count)[0].repeat(3, axis=1), f"{count} scattered digits in three channels"


def keep(path: Path | None, result: dict[str, Any]) -> None:
    """Write the results with the machine's facts, where a file was asked for."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"hardware": facts(), **result}, indent=2) + "\n")
