"""REBAR: the positive of a stretch is the one that it can best be restored from."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from tacit.data import Batch
from tacit.errors import DataError, OptionError
from tacit.methods.base import Method, Samples
from tacit.objectives.retrieval import CandidateContrast
from tacit.parts.draws import Draws
from tacit.parts.retrieval import Retriever, cut, elsewhere
from tacit.parts.teacher import Teacher
from tacit.registry import register
from tacit.views.base import View

STRETCHES = 4
"""Stretches of each recording in an epoch of the retriever."""
STEP = 32
"""Stretches in a step of the retriever."""


@register(
    "rebar",
    kind="method",
    family="contrastive",
    title="REBAR: Retrieval-Based Reconstruction for Time-series Contrastive Learning",
    year=2023,
    url="https://arxiv.org/abs/2311.00519",
    basis="code",
    modalities=("series",),
)
class REBAR(Method):
    """Before the training a small network learns to restore a hidden piece of a stretch by looking it up in a stretch
    that holds it. Its error is then a distance: of random stretches of the same recording, the one from which the
    anchor is best restored is the positive, and the others are negatives, as are the anchors of other recordings.

    Samples are long recordings, and the encoder learns from stretches of them; embeddings of recordings cut as finely
    (``data.window``) are what it is good at. The network learns to fill pieces and measures by single steps, as in the
    paper: the first asks for far memory, the second for likeness everywhere.

    Args:
        encoder: of the whole stretch, one that says how many ``channels`` series have.
        length: steps in a stretch; recordings must have at least three times as many.
        candidates: stretches to choose from, at least 2; the paper has 20.
        mask: steps hidden in a row while the network learns, below ``length``.
        temperature, share: see :class:`tacit.objectives.retrieval.CandidateContrast`.
        average: whether the encoder ends as the moving average of itself, which the paper evaluates.
        retriever_epochs: passes over the recordings, four stretches of each.
        retriever_lr: of Adam, falling to zero along a line.
        retriever_width, retriever_blocks, retriever_kernel: see :class:`tacit.parts.retrieval.Retriever`.

    Raises:
        OptionError: for an encoder that does not say how many channels there are, or an impossible value.
        DataError: for recordings that are too short.
    """

    recipe: ClassVar[str] = "plain"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        length: int = 64,
        candidates: int = 8,
        mask: int = 15,
        temperature: float = 0.1,
        share: float = 0.5,
        average: bool = True,
        retriever_epochs: int = 20,
        retriever_lr: float = 1e-3,
        retriever_width: int = 64,
        retriever_blocks: int = 1,
        retriever_kernel: int = 15,
    ) -> None:
        super().__init__(encoder)
        channels = getattr(encoder, "channels", None)
        if not isinstance(channels, int):
            raise OptionError(f"rebar must know how many channels series have; give {type(encoder).__name__} .channels")
        if candidates < 2:
            raise OptionError(f"candidates must be at least 2 to choose from, not {candidates}")
        if not 1 <= mask < length:
            raise OptionError(f"mask must be steps of a stretch, 1 <= mask < {length}, not {mask}")
        for name, value in (("epochs", retriever_epochs), ("width", retriever_width)):
            if value < 1:
                raise OptionError(f"retriever_{name} must be at least 1, not {value}")
        if retriever_kernel < 1 or retriever_kernel % 2 == 0 or retriever_blocks < 0:
            raise OptionError(
                "retriever_kernel must be odd and retriever_blocks not negative, not "
                f"{retriever_kernel} and {retriever_blocks}"
            )
        self.length, self.candidates, self.mask = length, candidates, mask
        self.epochs, self.lr = retriever_epochs, retriever_lr
        self.retriever = Retriever(channels, retriever_width, retriever_blocks, retriever_kernel).requires_grad_(False)
        self.teacher = Teacher(encoder, 0.99, 0.99) if average else None
        self.objective = CandidateContrast(temperature, share)

    def train(self, mode: bool = True) -> REBAR:
        super().train(mode)
        self.retriever.eval()  # what it learned before the training stays
        return self

    def begin(self, samples: Samples) -> None:
        retriever = self.retriever.requires_grad_(True).train()
        optimiser = torch.optim.Adam(retriever.parameters(), self.lr)
        # a generator of its own: every rank sees all samples and must end with the same network
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0x4EBA4)
            for epoch in range(self.epochs):
                for group in optimiser.param_groups:
                    group["lr"] = self.lr * (1 - epoch / self.epochs)
                for batch in samples():
                    x, length = self._recordings(batch["views"][0])
                    u = torch.rand(2, len(x), STRETCHES, device="cpu").to(x.device)
                    whole = cut(x, (u[0] * (length - self.length + 1)[:, None]).long(), self.length).flatten(0, 1)
                    first = (u[1].flatten() * (self.length - self.mask + 1)).long()[:, None]
                    place = torch.arange(self.length, device=x.device)
                    hidden = (place >= first) & (place < first + self.mask)
                    mixed = torch.randperm(len(whole), device="cpu").to(x.device)
                    for part in mixed.split(STEP):
                        self._improve(optimiser, whole[part], hidden[part])
        retriever.requires_grad_(False).eval()

    @torch.enable_grad()
    def _improve(self, optimiser: torch.optim.Optimizer, whole: Tensor, hidden: Tensor) -> None:
        """One step of the retriever: stretches restored from themselves."""
        error = (self.retriever(whole, whole, hidden) - whole).square() * hidden[:, None]
        optimiser.zero_grad()
        (error.sum() / (hidden.sum() * whole.shape[1])).backward()
        optimiser.step()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        anchor, others, positive, _ = self.chosen(batch["views"][0])
        z = self.encoder(torch.cat((anchor[:, None], others), 1).flatten(0, 1)).unflatten(0, (len(anchor), -1))
        return self.objective.terms(z[:, 0], z[:, 1:], positive)

    def chosen(self, view: View, draws: Draws | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Anchors ``[B, C, L]``, candidates ``[B, M, C, L]``, which of these is the positive, int64 ``[B]``, and all
        distances ``[B, M]``."""
        x, length = self._recordings(view)
        draws = draws or Draws(device=x.device)
        start = (draws.shared(1) * (length - self.length + 1)).long()
        places = elsewhere(length, start, self.length, self.candidates, draws)
        anchor, others = cut(x, start[:, None], self.length)[:, 0], cut(x, places, self.length)
        distance = self.distances(anchor, others, draws)
        return anchor, others, distance.argmin(1), distance

    def distances(self, anchor: Tensor, others: Tensor, draws: Draws) -> Tensor:
        """How ill each anchor is restored from each of its candidates, half of its steps hidden: ``[B, M]``."""
        hidden = draws.uniform(len(anchor), others.shape[1], self.length) < 0.5
        query = anchor[:, None].expand_as(others).flatten(0, 1)
        return self.retriever.distance(query, others.flatten(0, 1), hidden.flatten(0, 1)).view(others.shape[:2])

    def after_step(self, progress: float) -> None:
        if self.teacher is None:
            return
        self.teacher.follow(self.encoder, progress)
        if progress >= 1:
            self.encoder.load_state_dict(self.teacher.network.state_dict())

    def _recordings(self, view: View) -> tuple[Tensor, Tensor]:
        x = view["x"].float()
        length = view.get("length", torch.full((len(x),), x.shape[2], device=x.device))
        shortest = int(length.min())
        if shortest < 3 * self.length:
            raise DataError(
                f"rebar needs recordings of at least {3 * self.length} steps for stretches of {self.length}, and one "
                f"has {shortest}; give longer ones or --set length={max(1, shortest // 3)}"
            )
        return x, length
