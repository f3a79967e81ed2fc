"""Any method as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data


class SelfSupervised(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An encoder trained without labels by any of tacit's methods: rows in, embeddings out.

    A fitted one is pickled as plain data and safetensors, without a torch module.

    Args:
        method: a name; ``tacit methods`` lists them.
        modality: what the input is: ``table`` (arrays ``[N, D]`` and data frames, with numbers, text, booleans, dates
            and gaps), ``series`` (``[N, C, T]``), or another kind of data that arrays can hold.
        encoder: a name that the kind of data has; None for the automatic one.
        views: a recipe of views; None for the method's own.
        epochs, batch_size: how long; ``batch_size`` None for an automatic one.
        options: anything else that :func:`tacit.pretrain` takes, e.g. ``{"lr": 1e-3, "encoder.width": 64}``.
        random_state: of weights, order and views.

    Attributes:
        encoder_: the fitted torch module, in evaluation mode and float64.
        config_: what the training was made of, plain data.
        loss_curve_: loss at the logged steps.
        n_features_in_: columns of the input.

    Raises:
        ValueError: for infinite input, gaps where the kind of data has no way to fill them, or impossible parameters,
            when it is fitted.
    """

    def __init__(
        self,
        method: str = "simclr",
        *,
        modality: str = "table",
        encoder: str | None = None,
        views: str | None = None,
        epochs: int = 30,
        batch_size: int | None = None,
        options: dict[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.method = method
        self.modality = modality
        self.encoder = encoder
        self.views = views
        self.epochs = epochs
        self.batch_size = batch_size
        self.options = options
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> SelfSupervised:
        """Train on X, ``[N, ...]``; ``y`` is not looked at."""
        import tempfile

        import torch

        from tacit import api
        from tacit.parts.heads import width_of
        from tacit.run import completed

        data = self._checked(X, fitting=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            run = completed(api.pretrain(
                data, self.method, self.encoder, epochs=self.epochs, batch_size=self.batch_size, seed=seed,
                views=self.views, modality=self.modality, out=f"{folder}/run", quiet=True, options=self.options,
            ))  # fmt: skip
            self.config_ = run.config
            self.loss_curve_ = list(run.metrics["loss"])
            self.encoder_ = run.encoder.double()
        self._n_features_out = width_of(self.encoder_)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """The embeddings of X: ``[N, ...] -> [N, dim]``."""
        check_is_fitted(self)
        import torch

        from tacit.methods.base import embed
        from tacit.modalities import modality, open_source

        data = self._checked(X, fitting=False)
        kind = modality(self.config_["modality"])
        spec = kind.Spec.from_dict(self.config_["spec"])
        source, view = open_source(data, self.config_["modality"], **spec.reading()), kind.evaluation_view(spec)
        rows = []
        with torch.inference_mode():
            for batch in source.batches(256):
                seen = view(batch)[0]
                rows.append(embed(self.encoder_, seen | {"x": seen["x"].double()}))
        kept = np.float32 if getattr(data, "dtype", None) == np.float32 else np.float64
        return torch.cat(rows).numpy().astype(kept)

    def _checked(self, X: Any, fitting: bool) -> Any:
        """X as a reader takes it, once scikit-learn's rules for it hold; a table's columns go by their place."""
        from tacit.modalities.columns import is_frame

        if self.modality == "table" and is_frame(X):
            import pyarrow as pa

            validate_data(self, X, reset=fitting, skip_check_array=True)
            table = X if isinstance(X, pa.Table) else X.to_arrow() if hasattr(X, "to_arrow") else None
            if table is None:
                table = pa.Table.from_pandas(
                    X.set_axis([str(i) for i in range(X.shape[1])], axis=1), preserve_index=False
                )
            if table.num_rows < 1 + fitting:
                raise ValueError(f"n_samples = {table.num_rows} is too few; it takes at least {1 + fitting}")
            return table.rename_columns([str(i) for i in range(table.num_columns)])
        return validate_data(
            self, X, reset=fitting, dtype=(np.float64, np.float32), ensure_min_samples=1 + fitting,
            ensure_all_finite="allow-nan" if self._fills_gaps() else True, allow_nd=self.modality != "table",
        )  # fmt: skip

    def _fills_gaps(self) -> bool:
        return self.modality in ("table", "series")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "encoder_" in state:
            from safetensors.torch import save

            weights = state.pop("encoder_").state_dict()
            state["weights_"] = save({name: value.contiguous() for name, value in weights.items()})
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is not None:
            from safetensors.torch import load

            from tacit.modalities import modality

            kind, made = modality(self.config_["modality"]), self.config_["encoder"]
            encoder = kind.make_encoder(made["name"], kind.Spec.from_dict(self.config_["spec"]), **made["options"])
            encoder.double().load_state_dict(load(weights))
            self.encoder_ = encoder.eval()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = self._fills_gaps()
        tags.input_tags.three_d_array = self.modality != "table"
        return tags
