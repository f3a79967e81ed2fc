"""Spoken digits for experiments: recordings to learn from, and others of the same speakers."""

from __future__ import annotations

import io
import tarfile
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tacit import api
from tacit.claims.fine_tuning import fine_tuned
from tacit.claims.harness import Trial
from tacit.evaluation.probe import linear_probe
from tacit.parts.heads import width_of
from tacit.run import Run, completed

DATA = "1,500 spoken digits of four speakers, drawn by the seed; the 500 others of the same speakers to test on"
RATE = 8000


class Spoken(NamedTuple):
    """Recordings (int16 ``[T_i]``, 8 kHz) and their digits, to learn from and to test on."""

    x: list[np.ndarray]
    y: np.ndarray
    test: list[np.ndarray]
    y_test: np.ndarray


def spoken_digits(trial: Trial) -> Spoken:
    """The recordings of ``spoken-digits.tar``, a quarter of them, drawn by the seed, to test on.

    Raises:
        NeedsData: if it is not there.
    """
    rows: list[tuple[int, np.ndarray]] = []
    with tarfile.open(trial.data_file("spoken-digits.tar")) as archive:
        for member in archive:
            if not member.name.endswith(".wav"):
                continue
            digit = int(Path(member.name).stem.split("_")[0])
            file = archive.extractfile(member)
            assert file is not None
            with wave.open(io.BytesIO(file.read())) as sound:
                assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (RATE, 2, 1)
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
            rows.append((digit, samples))
    order = np.random.default_rng([trial.seed, 0xD161]).permutation(len(rows))
    held, known = ([rows[i] for i in part] for part in np.split(order, [len(rows) // 4]))
    return Spoken(
        [row[1] for row in known], np.array([row[0] for row in known]),
        [row[1] for row in held], np.array([row[0] for row in held]),
    )  # fmt: skip


def heard(
    data: Spoken, method: str, encoder: str, measure: Callable[[Run], Any], *, seed: int, steps: int, **options: Any
) -> Any:
    """``measure(run)`` of a training on recordings that is thrown away afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        run = completed(api.pretrain(
            data.x, method, encoder, out=Path(folder, "run"), seed=seed, steps=steps, modality="audio", quiet=True,
            options={"data.rate": RATE, **options},
        ))  # fmt: skip
        return measure(run)


def probed(data: Spoken, run: Run, seed: int, random: bool = False) -> float:
    """Linear-probe accuracy for the digit, in percent."""
    encoder = run.random_encoder() if random else run.encoder
    spaces = [torch.cat(list(run.stream(run.open(part), encoder))) for part in (data.x, data.test)]
    return 100 * linear_probe(spaces[0], data.y, spaces[1], data.y_test, seed=seed).accuracy


def surface(data: Spoken, run: Run, seed: int) -> float:
    """The same of the mean over time of the log power in 32 bands, without an encoder."""
    from tacit.modalities.audio import raw

    view = run.evaluation_view()
    spaces = [
        torch.cat([raw(view(batch)[0])[:, :32] for batch in run.open(part).batches(256)])
        for part in (data.x, data.test)
    ]
    return 100 * linear_probe(spaces[0], data.y, spaces[1], data.y_test, seed=seed).accuracy


def accuracy(data: Spoken, run: Run, encoder: torch.nn.Module, *, seed: int) -> float:
    """Accuracy for the digit, in percent, after training all of ``encoder`` and a linear layer with ten labels a class,
    drawn by the seed."""
    random = np.random.default_rng([seed, 0xF17E])
    chosen = np.concatenate([random.choice(np.flatnonzero(data.y == digit), 10, False) for digit in range(10)])
    torch.manual_seed(seed)
    width = width_of(encoder)
    head = torch.nn.Sequential(torch.nn.LayerNorm(width), torch.nn.Linear(width, 10))
    return fine_tuned(
        run, encoder, head, (data.x, data.y), chosen, (data.test, data.y_test), random,
        rate=lambda share: 1e-3 * min(1.0, 4 * (1 - share)),
    )  # fmt: skip
