"""A run folder: what a training leaves behind, and what can be done with it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tacit import registry
from tacit.data import Batch, Source, moved
from tacit.errors import OptionError, RunError
from tacit.files import read_json, write_json
from tacit.methods.base import Method, embed
from tacit.modalities import modality, open_source
from tacit.parts.tokens import TokenEncoder, encoded, tokens_of
from tacit.tables import read_table
from tacit.views.base import Views

Found = TypeVar("Found")


class TokenEmbeddings(NamedTuple):
    """Embeddings of the real tokens of some data.

    Attributes:
        x: float32 ``[T, dim]``.
        sample: position of the sample of each in the data, int64 ``[T]``.
        position: where each lies in its sample, in [0, 1]: ``[T, k]``.
    """

    x: Tensor
    sample: Tensor
    position: Tensor


class Run:
    """A finished or unfinished run.

    ``config.json`` repeats the run, ``metrics.csv``, ``watch.csv`` and ``speed.csv`` tell how it went,
    ``encoder.safetensors`` (and ``method.safetensors``, with the heads) hold the weights, ``initial.safetensors``
    those that an encoder of the user's own came with, ``checkpoints/`` what resuming needs, ``gallery.npz`` and
    ``report.html`` what a person looks at. Nothing in it needs unpickling to be used.

    Args:
        folder: the run folder.
        encoder: a module like the one that was trained, when it was the user's own; it is copied.
        method: the class of the method, when it is not registered.

    Raises:
        RunError: if the folder is no run of tacit.
    """

    def __init__(
        self, folder: str | Path, encoder: nn.Module | None = None, method: type[Method] | None = None
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise RunError(f"there is no run folder {self.folder}")
        self.config: dict[str, Any] = read_json(self.folder / "config.json")
        if not isinstance(self.config, dict) or "tacit" not in self.config:
            raise RunError(f"{self.folder} was not written by tacit: its config.json has no field 'tacit'")
        self._own, self._kind = encoder, method

    def __repr__(self) -> str:
        method, encoder = self.config["method"]["name"], self.config["encoder"]["name"]
        return f"Run({str(self.folder)!r}: {method} with {encoder}, {self.summary.get('status', 'unfinished')})"

    @property
    def summary(self) -> dict[str, Any]:
        """Status, steps, seconds and the watch's verdict; empty while the run has not ended once."""
        path = self.folder / "summary.json"
        return read_json(path) if path.exists() else {}

    @property
    def metrics(self) -> dict[str, list[float]]:
        """Columns of ``metrics.csv``: step, epoch, lr, loss and its terms, grad_norm."""
        return read_table(self.folder / "metrics.csv")

    @functools.cached_property
    def spec(self) -> Any:
        """What views and encoder know of the data, e.g. channels and size."""
        return modality(self.config["modality"]).Spec.from_dict(self.config["spec"])

    def random_encoder(self) -> nn.Module:
        """The encoder as it was before training, in evaluation mode.

        Raises:
            RunError: if it was the user's own module and has not been given to :func:`tacit.load`.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config["seed"])
            encoder = self._build_encoder()
        if self.config["encoder"]["name"] == "custom":
            self._fill(encoder, "initial.safetensors")
        return encoder.eval()

    @functools.cached_property
    def encoder(self) -> nn.Module:
        """The trained encoder in evaluation mode, on the CPU: a plain module, views to ``[B, dim]``."""
        encoder = self._build_encoder()
        self._fill(encoder, "encoder.safetensors")
        return encoder.eval()

    @functools.cached_property
    def method(self) -> Method:
        """The trained method with its heads, in evaluation mode.

        Raises:
            OptionError: if its class is not registered and has not been given to :func:`tacit.load`.
        """
        settings = self.config["method"]
        kind = self._kind or registry.find(settings["name"])
        method = kind(self._build_encoder(), **settings["options"])
        if "classes" in settings:
            method.labelled(settings["classes"])
        method.sized(self.config["data"]["count"])
        self._fill(method, "method.safetensors")
        return method.eval()

    @property
    def projector(self) -> nn.Module | None:
        """The trained projector; None where the method has none, or is neither registered nor given."""
        name = self.config["method"]["name"]
        known = self._kind is not None or name in {entry.name for entry in registry.catalogue()}
        return self.method.projector if known else None

    def _build_encoder(self) -> nn.Module:
        settings = self.config["encoder"]
        if settings["name"] == "custom":
            if self._own is None:
                raise RunError(
                    f"{self.folder} was trained with an encoder of your own; "
                    "load it with tacit.load(run, encoder=module)"
                )
            return modality(self.config["modality"]).wrap_encoder(copy.deepcopy(self._own), self.spec)
        return modality(self.config["modality"]).make_encoder(settings["name"], self.spec, **settings["options"])

    def _fill(self, module: nn.Module, name: str) -> None:
        """Load the weights of the file ``name`` into ``module``."""
        path = self.folder / name
        if not path.exists():
            raise RunError(f"{self.folder} has no {name} yet: the run did not get to its first checkpoint")
        try:
            weights = load_file(path)
        except Exception as error:
            raise RunError(f"{path} is damaged: {error}") from None
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise RunError(f"{path} does not fit {type(module).__name__}: {reason}") from error

    def evaluation_view(self) -> Views:
        """The deterministic view that embeddings are made from."""
        return modality(self.config["modality"]).evaluation_view(self.spec)

    def training_views(self) -> Views:
        """The random views that the run learned from."""
        views = self.config["views"]
        return modality(self.config["modality"]).make_views(views["recipe"], self.spec, **views["options"])

    def open(self, data: Any, **options: Any) -> Source:
        """Open data as this run's modality, at this run's size."""
        return open_source(data, self.config["modality"], **(self.spec.reading() | options))

    def stream(
        self, source: Source, encoder: nn.Module | None = None, batch_size: int = 256, index: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Embeddings of ``source``, or of its samples at ``index``, batch by batch: float32 ``[b, dim]`` on the CPU."""
        network, views = encoder or self.encoder, self.evaluation_view()
        yield from through(
            lambda batch: embed(network, views(batch)[0]).float().cpu(), source.batches(batch_size, index), network
        )

    def embed(self, data: Any, batch_size: int = 256) -> np.ndarray:
        """Embeddings of data: float32 ``[N, dim]``. For files see :func:`tacit.embed`."""
        return torch.cat(list(self.stream(self.open(data), batch_size=batch_size))).numpy()

    def tokens(self, data: Any, batch_size: int = 256) -> TokenEmbeddings:
        """Embeddings of the single tokens of data: patches, frames, points, columns, words.

        Raises:
            OptionError: if the run's encoder has no tokens.
        """
        if not isinstance(self.encoder, TokenEncoder):
            raise OptionError(f"encoder {self.config['encoder']['name']} has no tokens to embed; train one that has")
        network, views = self.encoder, self.evaluation_view()

        def of(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
            cut = tokens_of(network, views(batch)[0])
            z = encoded(network, cut).float()
            real = torch.ones(z.shape[:2], dtype=torch.bool) if cut.valid is None else cut.valid.cpu()
            place = cut.position.expand(*z.shape[:2], -1).cpu()
            return z.cpu()[real], batch["index"].cpu()[real.nonzero()[:, 0]], place[real]

        found = through(of, self.open(data).batches(batch_size), network)
        return TokenEmbeddings(*(torch.cat(part) for part in zip(*found, strict=True)))

    def predict(self, data: Any, batch_size: int = 256) -> np.ndarray:
        """Probabilities of the classes by a run of ``tacit adapt``: float32 ``[N, classes]``.

        Raises:
            OptionError: if the run's method does not predict labels.
        """
        from tacit.adaptation import scores

        rows = [next(iter(ways.values())) for ways in scores(self, self.open(data), batch_size)]
        return torch.cat(rows).softmax(1).numpy()

    def evaluate(self, data: Any, test: Any = None, **options: Any) -> dict[str, Any]:
        """k-NN, linear probe and RankMe beside raw input and a random encoder; see :func:`tacit.evaluate`."""
        from tacit.api import evaluate

        return evaluate(self, data, test, **options)

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report, one self-contained HTML file; see :func:`tacit.report`."""
        from tacit.api import report

        return report(self, out)

    def update_summary(self, **values: Any) -> None:
        """Merge values into ``summary.json``."""
        write_json(self.folder / "summary.json", self.summary | values)


def completed(run: Run) -> Run:
    """The run, where its training came to its end.

    Raises:
        KeyboardInterrupt: if it was interrupted, so that nothing is made of part of a training.
    """
    if run.summary["status"] == "interrupted":
        raise KeyboardInterrupt
    return run


def fastest() -> torch.device:
    """Where encoders run outside training: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def through(of: Callable[[Batch], Found], batches: Iterable[Batch], *networks: nn.Module) -> Iterator[Found]:
    """What ``of`` makes of each batch, computed where encoders run fastest and without gradients.

    Args:
        of: is given a batch on that device; it leaves there what is not moved.
        batches: on any device.
        networks: what ``of`` uses: they are on that device meanwhile, and on the CPU afterwards.
    """
    device = fastest()
    try:
        for network in networks:
            network.to(device)
        for batch in batches:
            with torch.inference_mode():
                found = of(moved(batch, device))
            yield found
    finally:
        for network in networks:
            network.cpu()
