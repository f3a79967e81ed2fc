"""Dimensionality reduction by neighbours as a scikit-learn transformer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from torch import nn


class TLDR(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Dimensionality reduction that keeps each sample's nearest neighbours near (twin learning).

    Pairs are a sample and one of its ``n_neighbors`` nearest; the loss is that of Barlow Twins on a projector after
    the reduction. Fitting forgets the projector; :meth:`transform` is the encoder alone.

    Source: Kalantidis et al. 2021, TLDR: Twin Learning for Dimensionality Reduction. Neighbours are exact (the
    paper's code approximates them by product quantisation for millions of samples).

    Args:
        n_components: dimensions to keep; more than the input has only with an ``mlp`` encoder.
        encoder: ``linear``; ``flinear-H-W``, H hidden layers of W with batch norm and without activation; or
            ``mlp-H-W``, with ReLU. ``flinear-1-512`` factorises a linear map.
        projector: ``mlp-H-W``: H hidden layers and the output are W wide.
        n_neighbors: neighbours a sample's partner is drawn from; 3 to 10 for small data.
        metric: ``euclidean`` distance or largest ``inner`` product.
        normalize: bring the inputs to unit length first.
        standardize: bring each input dimension to zero mean and unit variance first, for heavy tails.
        pairs: ``neighbours``, or ``noise``: the sample with Gaussian noise, as a control.
        batch_size, epochs, learning_rate, warmup_epochs: of LARS; the rate is multiplied by batch / 256, rises during
            the warm-up and falls along a cosine to a thousandth. A smaller data set is one batch.
        scale, redundancy: factor on the loss, and weight of redundancy reduction.
        device: ``cpu``, ``cuda``, ...
        random_state: of weights, order and neighbours.

    Attributes:
        encoder_: the fitted torch module, in evaluation mode.
        loss_curve_: mean loss of each epoch.
        n_features_in_: dimensions of the input.

    Raises:
        ValueError: for NaN, no more samples than ``n_neighbors``, or impossible parameters, when it is fitted.
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        encoder: str = "linear",
        projector: str = "mlp-2-2048",
        n_neighbors: int = 5,
        metric: str = "euclidean",
        normalize: bool = False,
        standardize: bool = False,
        pairs: str = "neighbours",
        batch_size: int = 1024,
        epochs: int = 100,
        learning_rate: float = 0.2,
        warmup_epochs: int = 10,
        scale: float = 1 / 32,
        redundancy: float = 3.9e-3,
        device: str = "cpu",
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.encoder = encoder
        self.projector = projector
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.normalize = normalize
        self.standardize = standardize
        self.pairs = pairs
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.warmup_epochs = warmup_epochs
        self.scale = scale
        self.redundancy = redundancy
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> TLDR:
        """Learn the reduction from the rows of X (``[N, D]``); y is not used."""
        import torch

        from tacit.methods.redundancy.tldr import TLDR as Method
        from tacit.parts.heads import mlp
        from tacit.training.optimisers import make_optimiser, set_rate
        from tacit.training.schedules import WarmupCosine

        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2)
        for name, known in (("metric", ("euclidean", "inner")), ("pairs", ("neighbours", "noise"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be {' or '.join(known)}, not {getattr(self, name)!r}")
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"epochs must be at least 1 and batch_size 2, not {self.epochs} and {self.batch_size}")
        if self.pairs == "neighbours" and not 0 < self.n_neighbors < len(X):
            raise ValueError(f"n_neighbors={self.n_neighbors} must be at least 1 and less than n_samples = {len(X)}")
        rows = X.astype(np.float64)
        self.mean_ = rows.mean(0) if self.standardize else np.zeros(rows.shape[1])
        self.scale_ = rows.std(0) if self.standardize else np.ones(rows.shape[1])
        self.scale_[self.scale_ == 0] = 1.0
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(seed))
            x = torch.from_numpy(self._prepared(rows)).float().to(self.device)
            encoder = _network(self.encoder, x.shape[1], self.n_components)
            method = Method(
                encoder, neighbours=self.n_neighbors, metric=self.metric, pairs=self.pairs,  # type: ignore[arg-type]
                lambda_=self.redundancy, scale=self.scale,
            )  # fmt: skip
            kind, layers, width = _spec(self.projector)
            if kind != "mlp":
                raise ValueError(f"the projector must be an mlp such as mlp-2-2048, not {self.projector!r}")
            method.projector = mlp([self.n_components, *[width] * (layers + 1)], last_bias=False)
            method.to(self.device)
            index = torch.arange(len(x), device=x.device)
            method.begin(lambda: iter([{"views": [{"x": x}], "index": index}]))
            batch = min(self.batch_size, len(x))
            peak = self.learning_rate * batch / 256
            optimiser = make_optimiser(method, "lars", peak)
            per_epoch = len(x) // batch
            total = self.epochs * per_epoch
            warmup = min(self.warmup_epochs * per_epoch, total - 1)
            schedule = WarmupCosine(peak, warmup=float(warmup), floor=1e-3)
            self.loss_curve_ = []
            step = 0
            for _ in range(self.epochs):
                losses = []
                for chosen in torch.randperm(len(x)).to(x.device)[: per_epoch * batch].split(batch):
                    set_rate(optimiser, schedule.rate(step, total))
                    optimiser.zero_grad()
                    loss = method({"index": chosen, "views": [{"x": x[chosen]}]})["loss"]
                    loss.backward()
                    optimiser.step()
                    losses.append(loss.detach())
                    step += 1
                self.loss_curve_.append(float(torch.stack(losses).mean()))
        if not all(map(math.isfinite, self.loss_curve_)):
            raise ValueError("the loss is not finite any more: lower learning_rate, or standardize the input")
        self.encoder_ = encoder.cpu().double().eval()
        self._n_features_out = self.n_components
        return self

    def transform(self, X: Any, l2_norm: bool = False) -> np.ndarray:
        """The reduction of the rows of X: ``[N, D] -> [N, n_components]``, of unit length with ``l2_norm``."""
        check_is_fitted(self)
        import torch

        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        with torch.inference_mode():
            z = self.encoder_(torch.from_numpy(self._prepared(X.astype(np.float64))))
            if l2_norm:
                z = torch.nn.functional.normalize(z, dim=1)
        return z.numpy().astype(X.dtype)

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        rows = (rows - self.mean_) / self.scale_
        if not self.normalize:
            return rows
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _spec(text: str) -> tuple[str, int, int]:
    """``mlp-2-2048`` as ``("mlp", 2, 2048)``."""
    kind, _, rest = text.partition("-")
    layers, _, width = rest.partition("-")
    if text == "linear":
        return "linear", 0, 0
    if kind not in ("mlp", "flinear") or not (layers.isdigit() and width.isdigit() and int(width) > 0):
        raise ValueError(f"a network is linear, flinear-LAYERS-WIDTH or mlp-LAYERS-WIDTH, not {text!r}")
    return kind, int(layers), int(width)


def _network(text: str, dim: int, out: int) -> nn.Module:
    """An encoder with the attribute ``dim``: ``[B, dim] -> [B, out]``."""
    from torch import nn

    from tacit.parts.heads import mlp

    kind, layers, width = _spec(text)
    if out < 1 or (out > dim and kind != "mlp"):
        raise ValueError(f"n_components={out} must be at least 1, and more than {dim} features need an mlp encoder")
    network = mlp([dim, *[width] * layers, out], last_bias=kind != "mlp")
    if kind == "flinear":
        network = nn.Sequential(*(module for module in network if not isinstance(module, nn.ReLU)))
    network.dim = out  # type: ignore[assignment]
    return network
