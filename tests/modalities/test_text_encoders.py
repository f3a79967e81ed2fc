"""Encoders of text: shapes, padding, tokens, and models of Hugging Face from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import tacit
from tacit.errors import OptionError
from tacit.modalities import open_source, text
from tacit.modalities.text.encoders import CODE, TextTransformer
from tacit.modalities.text.synthetic import documents, sample

SMALL = {
    "bag": {"width": 16, "dim": 8},
    "convnet": {"width": 16, "dim": 8},
    "transformer": {"width": 16, "depth": 2, "heads": 2},
}


@pytest.fixture(scope="module")
def spec() -> text.Spec:
    return text.spec_of(open_source(sample(40), "text"))


def batch(spec: text.Spec) -> tuple[torch.Tensor, torch.Tensor]:
    length = torch.tensor([12, 5, 1])
    x = torch.randint(3, spec.vocabulary, (3, 12), generator=torch.Generator().manual_seed(0))
    return x.masked_fill(torch.arange(12) >= length[:, None], 0), length


@pytest.mark.parametrize("name", SMALL)
def test_padding_changes_nothing_and_order_matters_where_it_should(name: str, spec: text.Spec) -> None:
    encoder = text.make_encoder(name, spec, **SMALL[name]).eval()
    x, length = batch(spec)
    found = encoder(x, length)
    assert found.shape == (3, encoder.dim)
    for i, n in enumerate(length.tolist()):
        torch.testing.assert_close(encoder(x[i : i + 1, :n])[0], found[i], rtol=1e-4, atol=1e-5)
    longer = nn.functional.pad(x, (0, 7))
    torch.testing.assert_close(encoder(longer, length), found, rtol=1e-4, atol=1e-5)
    turned = encoder(x[:1].flip(1))[0]
    assert torch.allclose(turned, found[0], atol=1e-5) == (name == "bag")


@pytest.mark.parametrize("name", SMALL)
def test_dropout_makes_noise_in_training_alone(name: str, spec: text.Spec) -> None:
    x, length = batch(spec)
    encoder = text.make_encoder(name, spec, **SMALL[name], dropout=0.3)
    assert not torch.equal(encoder(x, length), encoder(x, length))
    encoder.eval()
    assert torch.equal(encoder(x, length), encoder(x, length))
    with pytest.raises(OptionError, match="dropout"):
        text.make_encoder(name, spec, dropout=1.0)


def test_codes_of_tokens_name_them(spec: text.Spec) -> None:
    encoder = TextTransformer(spec, width=16, depth=1, heads=2)
    x, length = batch(spec)
    x[0, 3] = spec.mask
    tokens = encoder.tokenize(x, length)
    assert tokens.target.shape == (3, 12, CODE)
    assert tokens.valid is not None
    assert tokens.known is not None
    assert tokens.valid.sum(1).tolist() == length.tolist()
    assert not tokens.target[~tokens.valid].any()
    assert not tokens.known[0, 3].any(), "what is hidden in the view is not asked for"
    asked = tokens.known.all(2)
    nearest = (tokens.target @ encoder.codes.float().T).argmax(2)
    assert torch.equal(nearest[asked], x[asked])
    assert int(asked.sum()) == int(length.sum()) - 1


def test_a_masked_autoencoder_learns_what_follows_what(tmp_path: Path) -> None:
    """Of documents of one repeated pattern the hidden tokens are named by the nearest code."""
    random = np.random.default_rng(0)
    texts = [" ".join(("ab", "cd", "ef", "gh")[(k + i) % 4] for i in range(24)) for k in random.integers(0, 4, 200)]
    options = {"ratio": 0.3, "lr": 3e-3, "log_every": 1, "encoder.width": 32, "encoder.depth": 2, "encoder.heads": 2,
               "views.span": 0.0, "precision": "32-true"}  # fmt: skip
    run = tacit.pretrain(
        texts, "masked-autoencoder", steps=150, batch_size=32, modality="text", quiet=True, options=options,
        out=tmp_path / "run",
    )  # fmt: skip
    loss = run.metrics["loss"]
    assert np.mean(loss[-10:]) < 0.3 * np.mean(loss[:5])


def test_unknown_names_and_impossible_sizes(spec: text.Spec) -> None:
    for name, options, said in (
        ("convnet", {"kernel": 2}, "odd"),
        ("bag", {"width": 0}, "at least 1"),
        ("convnet", {"wdith": 3}, "width"),
        ("transformr", {}, "did you mean 'transformer'"),
        ("huggingface", {}, "data.tokenizer=NAME"),
        ("distilbert-base-uncased", {}, "data.tokenizer=distilbert-base-uncased"),
    ):
        with pytest.raises(OptionError, match=said):
            text.make_encoder(name, spec, **options)


class Own(nn.Module):
    def __init__(self, entries: int) -> None:
        super().__init__()
        self.table = nn.Embedding(entries, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table(x).transpose(1, 2)


def test_a_module_of_ones_own(spec: text.Spec) -> None:
    own = text.wrap_encoder(Own(spec.vocabulary), spec)
    assert own.dim == 6
    x, length = batch(spec)
    assert own(x, length).shape == (3, 6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny BERT with its own word pieces, written to a folder."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    path = tmp_path_factory.mktemp("bert")
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]  # padding is not 0 here
    made.train_from_iterator(documents(200, 5).texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", made.token_to_id("[CLS]")), ("[SEP]", made.token_to_id("[SEP]"))],
    )
    names = {
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
    }
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **names)
    fast.save_pretrained(path)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=made.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=3,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(path, safe_serialization=True)
    return str(path)


def test_a_model_of_hugging_face_gives_what_it_gives_by_itself(folder: str) -> None:
    import transformers

    texts = documents(6, 1, sentences=(1, 3)).texts
    source = open_source(texts, "text", tokenizer=folder)
    spec = text.spec_of(source)
    assert text.default_encoder(spec, tokens=False, fast=True) == "huggingface"
    encoder = text.make_encoder("huggingface", spec).eval()
    (view,) = text.evaluation_view(spec)(source.batch(torch.arange(6)))
    found = encoder(view["x"], view["length"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder).eval()
    for i, written in enumerate(texts):
        alone = model(**tokenizer(written, return_tensors="pt")).last_hidden_state[0]
        torch.testing.assert_close(found[i], alone.mean(0), rtol=1e-4, atol=1e-5)
    first = text.make_encoder(folder, spec, pooling="first").eval()
    torch.testing.assert_close(first(view["x"], view["length"])[0], model(**tokenizer(texts[0], return_tensors="pt"))
                               .last_hidden_state[0, 0], rtol=1e-4, atol=1e-5)  # fmt: skip
    wrapped = text.wrap_encoder(model, spec).eval()
    torch.testing.assert_close(wrapped(view["x"], view["length"]), found, rtol=1e-4, atol=1e-5)
    torch.manual_seed(7)
    new = text.make_encoder("huggingface", spec, pretrained=False).eval()
    assert not torch.allclose(new(view["x"], view["length"]), found, atol=1e-3)


def test_a_model_of_hugging_face_trains_and_is_loaded_again(folder: str, tmp_path: Path) -> None:
    texts = documents(24, 1, sentences=(1, 3)).texts
    options: dict[str, Any] = {"data.tokenizer": folder, "log_every": 1, "lr": 1e-3}
    run = tacit.pretrain(texts, "simclr", steps=3, batch_size=8, quiet=True, out=tmp_path / "run", options=options)
    assert run.config["encoder"]["name"] == "huggingface"
    assert all(np.isfinite(run.metrics["loss"]))
    embedded = tacit.load(tmp_path / "run").embed(texts)
    assert embedded.shape == (24, 16)
    spec = text.spec_of(open_source(texts, "text", tokenizer=folder))
    assert not np.allclose(run.embed(texts), 0)
    untrained = text.make_encoder("huggingface", spec).eval()
    assert any(
        not torch.equal(one, two)
        for one, two in zip(run.encoder.state_dict().values(), untrained.state_dict().values(), strict=True)
    )
    tokens = tacit.pretrain(
        texts, "masked-autoencoder", steps=2, batch_size=8, quiet=True, out=tmp_path / "tokens", options=options
    )
    assert tokens.config["encoder"]["name"] == "transformer"


def test_models_that_do_not_fit_are_refused(folder: str, tmp_path: Path) -> None:
    import transformers

    texts = documents(4, 1, sentences=(20, 20)).texts
    with pytest.raises(OptionError, match="takes 62 tokens"):
        open_source(texts, "text", tokenizer=folder, most=63)
    source = open_source(texts, "text", tokenizer=folder)
    spec = text.spec_of(source)
    assert spec.length == 62, "as many as the model takes, with its special tokens"
    with pytest.raises(OptionError, match="of different models"):
        text.make_encoder("bert-base", spec)
    with pytest.raises(OptionError, match="cannot be loaded"):
        open_source(texts, "text", tokenizer=str(tmp_path / "nothing"))
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    with pytest.raises(OptionError, match="20 embeddings"):
        text.wrap_encoder(transformers.BertModel(config), spec)
    own = text.spec_of(open_source(texts, "text"))
    with pytest.raises(OptionError, match="tokens of its own model"):
        text.wrap_encoder(transformers.BertModel(config), own)


def test_pickled_weights_are_not_read(folder: str, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file

    other = tmp_path / "pickled"
    shutil.copytree(folder, other)
    torch.save(load_file(other / "model.safetensors"), other / "pytorch_model.bin")
    (other / "model.safetensors").unlink()
    spec = text.spec_of(open_source(documents(4, 1).texts, "text", tokenizer=str(other)))
    with pytest.raises(OptionError, match="safetensors"):
        text.make_encoder("huggingface", spec)
