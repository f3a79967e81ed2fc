"""Videos for tests, written by FFmpeg and by Pillow, frame by frame known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def film(count: int = 12, height: int = 32, width: int = 48, seed: int = 0) -> np.ndarray:
    """Smooth colours that change from frame to frame, uint8 ``[T, H, W, 3]``: what lossy coders keep."""
    random = np.random.default_rng(seed)
    y, x = np.arange(height)[:, None] / height, np.arange(width)[None] / width
    waves = random.uniform(-1, 1, (count, 3, 3))
    made = [
        np.stack([128 + 60 * np.sin(3 * (a * x + b * y) + 3 * c + k) for k, (a, b, c) in enumerate(frame)], -1)
        for frame in waves
    ]
    return np.stack(made).clip(0, 255).astype(np.uint8)


def write_video(path: Path, frames: np.ndarray, codec: str = "mpeg4", fps: int = 10, pixels: str = "yuv420p") -> Path:
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], pixels
        stream.bit_rate = 4_000_000
        for picture in frames:
            source = "gray" if picture.ndim == 2 else "rgb24"
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=source)):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def write_pictures(folder: Path, frames: np.ndarray) -> Path:
    """Pictures ``frame1.png``, ``frame2.png``, ... without zeros before the number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(frames):
        Image.fromarray(picture).save(folder / f"frame{number + 1}.png")
    return folder


def write_gif(path: Path, frames: np.ndarray, milliseconds: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = [Image.fromarray(picture) for picture in frames]
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path
