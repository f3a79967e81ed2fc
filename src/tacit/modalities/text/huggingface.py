"""Models of Hugging Face as encoders of documents."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from tacit.errors import OptionError, needs
from tacit.modalities.text.codec import from_name
from tacit.modalities.text.spec import Spec
from tacit.parts.lengths import inside
from tacit.parts.tokens import pooled

Pooling = Literal["mean", "first"]


def hugging_face(spec: Spec, *, pretrained: bool = True, pooling: Pooling = "mean", **options: Any) -> nn.Module:
    """The model that the spec's tokenizer belongs to.

    Args:
        spec: of the data; ``spec.tokenizer`` is a name on the hub, or a folder.
        pretrained: start from its published weights (safetensors alone are read; nothing that could run code is).
        pooling: the embedding is the ``mean`` over a document's tokens, or what the model gives for the ``first``.

    Raises:
        OptionError: if it cannot be loaded, or is no encoder.
        MissingExtra: without the ``transformers`` library.
    """
    name = str(spec.tokenizer)
    library = needs("transformers", "text", f"the encoder '{name}'")
    safe = {"trust_remote_code": False}
    try:
        config = library.AutoConfig.from_pretrained(name, **safe)
        if pretrained:
            model = library.AutoModel.from_pretrained(
                name, config=config, use_safetensors=True, dtype=torch.float32, **safe
            )
        else:
            model = library.AutoModel.from_config(config, **safe)
    except Exception as error:  # of several libraries and the network
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise OptionError(
            f"encoder '{name}' cannot be loaded: {reason}; it must be on the Hugging Face hub or in a folder, with "
            "weights as .safetensors (or say --set encoder.pretrained=false)"
        ) from None
    return HuggingFace(model, spec, pooling)


class HuggingFace(nn.Module):
    """A model of ``transformers`` that reads token ids; special tokens are put around each document as it wants them.

    Args:
        model: gives ``last_hidden_state``.
        spec: of the data, with the model's tokenizer.
        pooling: see :func:`hugging_face`.

    Raises:
        OptionError: if it is no encoder of text, reads fewer tokens than the data has, or has fewer entries in its
            vocabulary than the tokenizer.
    """

    before: Tensor
    after: Tensor

    def __init__(self, model: Any, spec: Spec, pooling: Pooling = "mean") -> None:
        super().__init__()
        name = type(model).__name__
        config = model.config
        if getattr(config, "is_encoder_decoder", False):
            raise OptionError(f"{name} is an encoder with a decoder; give a model that is an encoder alone")
        if not isinstance(spec.tokenizer, str):
            raise OptionError(f"{name} needs the tokens of its own model: say --set data.tokenizer=NAME, or a folder")
        entries = model.get_input_embeddings().num_embeddings
        if entries < spec.vocabulary:
            raise OptionError(
                f"{name} has {entries} embeddings, and tokenizer '{spec.tokenizer}' {spec.vocabulary} entries: they "
                "do not belong together"
            )
        codec = from_name(spec.tokenizer)
        around = len(codec.before) + len(codec.after)
        most = getattr(config, "max_position_embeddings", None)
        if most is not None and spec.length + around > most:
            raise OptionError(f"{name} reads {most} tokens; say --set data.most={most - around}")
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its output is not used, and it would get no gradient
        self.model, self.pooling, self.pad = model, pooling, codec.pad
        self.dim = int(config.hidden_size)
        self.register_buffer("before", torch.tensor(codec.before, dtype=torch.int64), persistent=False)
        self.register_buffer("after", torch.tensor(codec.after, dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor, length: Tensor | None = None) -> Tensor:
        """``[B, T] -> [B, dim]``."""
        if length is None:
            length = torch.full((len(x),), x.shape[1], device=x.device)
        first, last = len(self.before), len(self.after)
        ids = nn.functional.pad(x, (first, last))
        ids[:, :first] = self.before
        end = (length + first)[:, None] + torch.arange(last, device=x.device)
        ids = ids.scatter(1, end, self.after.expand(len(x), -1))
        real = inside(length + first + last, ids.shape[1])
        ids = ids.masked_fill(~real, self.pad)
        found = self.model(input_ids=ids, attention_mask=real.long()).last_hidden_state
        return found[:, 0] if self.pooling == "first" else pooled(found, real)
