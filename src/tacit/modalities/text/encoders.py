"""Encoders of documents."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, unknown
from tacit.modalities.text.spec import Spec
from tacit.options import settle
from tacit.parts.lengths import inside
from tacit.parts.tokens import pooled
from tacit.parts.transformer import Pieces, TokenNet
from tacit.parts.wrapping import wrapped

CODE = 64
"""Numbers that stand for a token where it is to be restored."""


def encoder_names() -> list[str]:
    """Names of the encoders: ``bag`` (the mean of the tokens' embeddings through a small network), ``convnet``,
    ``transformer`` (with tokens), and ``huggingface`` (the model that ``data.tokenizer`` names)."""
    return ["bag", "convnet", "huggingface", "transformer"]


def default_encoder(spec: Spec, tokens: bool, fast: bool) -> str:
    """``transformer`` where tokens are needed or there is a GPU, else ``convnet``; ``huggingface`` where the tokens are
    those of such a model."""
    if tokens:
        return "transformer"
    if isinstance(spec.tokenizer, str):
        return "huggingface"
    return "convnet" if fast else "transformer"


def make_encoder(name: str, spec: Spec, **options: Any) -> nn.Module:
    """An encoder of token ids, int64 ``[B, T] -> [B, dim]``, for documents of any length.

    Args:
        name: one of :func:`encoder_names`, or a Hugging Face model (a name on the hub, or a folder) whose tokenizer is
            ``spec.tokenizer``.
        options: of :class:`BagNet`, :class:`ConvNet`, :class:`TextTransformer` or
            :func:`tacit.modalities.text.huggingface.hugging_face`.

    Raises:
        OptionError: for an unknown name or option.
    """
    if name in NETWORKS:
        network = NETWORKS[name]
        return network(spec, **settle(options, network, f"encoder {name}", skip=1))
    from tacit.modalities.text.huggingface import hugging_face

    if not isinstance(spec.tokenizer, str):
        if name != "huggingface" and not ("/" in name or "-" in name):
            raise unknown("encoder", name, encoder_names())
        model = "NAME" if name == "huggingface" else name
        raise OptionError(
            f"encoder '{name}' needs the tokens of its own model: say --set data.tokenizer={model}, a Hugging Face "
            "model or a folder with one"
        )
    if name not in ("huggingface", spec.tokenizer):
        raise OptionError(
            f"encoder '{name}' and tokenizer '{spec.tokenizer}' are of different models; name one of them"
        )
    return hugging_face(spec, **settle(options, hugging_face, f"encoder {name}", skip=1))


def wrap_encoder(module: nn.Module, spec: Spec) -> nn.Module:
    """The user's own module as an encoder of token ids, tried on a document to see what it gives; a model of
    ``transformers`` is taken as :class:`tacit.modalities.text.huggingface.HuggingFace` takes it.

    Raises:
        OptionError: if it does not give ``[B, D]`` or ``[B, D, ...]``.
    """
    if hasattr(module, "get_input_embeddings") and hasattr(module, "config"):
        from tacit.modalities.text.huggingface import HuggingFace

        return HuggingFace(module, spec)
    return wrapped(module, torch.ones(2, spec.length, dtype=torch.int64))


def _check(name: str, sizes: dict[str, int]) -> None:
    for option, value in sizes.items():
        if value < 1:
            raise OptionError(f"{option} of the encoder {name} must be at least 1, not {value}")


def _check_dropout(dropout: float) -> None:
    if not 0 <= dropout < 1:
        raise OptionError(f"dropout must be at least 0 and below 1, not {dropout}")


class BagNet(nn.Module):
    """The mean of the embeddings of all tokens, whatever their order, through a network with one hidden layer.

    Args:
        spec: of the data.
        width: of the embeddings and the hidden layer.
        dim: of what it gives.
        dropout: share of a token's embedding that is set to zero in training.

    Source: the averages of Iyyer et al. 2015, Deep Unordered Composition Rivals Syntactic Methods for Text
    Classification.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(self, spec: Spec, *, width: int = 128, dim: int = 128, dropout: float = 0.0) -> None:
        super().__init__()
        _check("bag", {"width": width, "dim": dim})
        _check_dropout(dropout)
        self.dim = dim
        self.table = nn.Embedding(spec.vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim))

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, T] -> [B, dim]``."""
        h = self.dropout(self.table(x))
        return self.leave(pooled(h, None if length is None else inside(length, x.shape[1])))


class ConvNet(nn.Module):
    """Residual convolutions over the embeddings of tokens; the embedding is of each feature's mean and largest value.

    Norms are over the features of one token, so that neither padding nor other documents change what one gives.

    Args:
        spec: of the data.
        width: of the embeddings and the convolutions.
        depth: number of convolutions; each sees twice as far as the one before.
        kernel: tokens of a convolution, odd.
        dim: of what it gives.
        dropout: share of a token's embedding that is set to zero in training.

    Source: the largest value over tokens as in Kim 2014, Convolutional Neural Networks for Sentence Classification.

    Raises:
        OptionError: for sizes that cannot be.
    """

    def __init__(
        self, spec: Spec, *, width: int = 128, depth: int = 3, kernel: int = 3, dim: int = 128, dropout: float = 0.0
    ) -> None:
        super().__init__()
        _check("convnet", {"width": width, "depth": depth, "kernel": kernel, "dim": dim})
        _check_dropout(dropout)
        if kernel % 2 == 0:
            raise OptionError(f"kernel of the encoder convnet must be odd, not {kernel}")
        self.dim = dim
        self.table = nn.Embedding(spec.vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=2**i * (kernel - 1) // 2, dilation=2**i) for i in range(depth)
        )
        self.leave = nn.Linear(2 * width, dim)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, T] -> [B, dim]``."""
        h = self.dropout(self.table(x))
        real = None if length is None else inside(length, x.shape[1])
        for norm, layer in zip(self.norms, self.layers, strict=True):
            seen = norm(h)
            if real is not None:
                seen = seen.masked_fill(~real[..., None], 0)  # beyond its end a document is zero, as beyond the border
            h = h + nn.functional.gelu(layer(seen.transpose(1, 2))).transpose(1, 2)
        top = h if real is None else h.masked_fill(~real[..., None], -torch.inf)
        return self.leave(torch.cat((pooled(h, real), top.amax(1)), 1))


class TextTransformer(TokenNet):
    """A transformer over tokens (:class:`tacit.parts.transformer.TokenNet`).

    What masked methods restore of a token is a fixed random code of 64 signs, the nearest of which names it; what is
    hidden in the view already is not asked for.

    Args:
        spec: of the data.
        width, depth, heads: of the transformer; ``width`` is that of the embedding.
        dropout: share of a token's embedding that is set to zero in training.

    Raises:
        OptionError: for sizes that cannot be.
    """

    normalise_targets = False
    codes: Tensor

    def __init__(self, spec: Spec, *, width: int = 128, depth: int = 3, heads: int = 4, dropout: float = 0.0) -> None:
        _check_dropout(dropout)
        super().__init__(CODE, width, width=width, depth=depth, heads=heads)
        self.table = nn.Embedding(spec.vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.length, self.mask = spec.length, spec.mask
        signs = torch.randint(0, 2, (spec.vocabulary, CODE), generator=torch.Generator().manual_seed(0))
        self.register_buffer("codes", (2 * signs - 1).to(torch.int8))

    def cut(self, x: Tensor, length: Tensor | None) -> Pieces:
        valid = None if length is None else inside(length, x.shape[1])
        asked = x != self.mask if valid is None else valid & (x != self.mask)
        target = torch.where(asked[..., None], self.codes[x], 0).to(self.table.weight.dtype)
        position = ((torch.arange(x.shape[1], device=x.device) + 0.5) / self.length)[:, None]
        return Pieces(target, position, valid, asked[..., None].expand_as(target), x[..., None])

    def embed(self, pieces: Pieces) -> Tensor:
        assert pieces.entry is not None
        return self.enter(self.dropout(self.table(pieces.entry[..., 0])))


NETWORKS: dict[str, type[nn.Module]] = {"bag": BagNet, "convnet": ConvNet, "transformer": TextTransformer}
