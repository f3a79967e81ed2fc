import numpy as np
import pytest
import torch
from tiny_encoders import TinyEncoder, images

import tacit
from tacit.errors import OptionError
from tacit.methods.contrastive.scatsimclr import ScatSimCLR, tiles
from tacit.objectives.contrastive import NTXent
from tacit.parts.draws import Draws
from tacit.parts.heads import Dropout
from tacit.parts.permutations import distant_permutations


def build(**options):
    torch.manual_seed(0)
    return ScatSimCLR(TinyEncoder(), hidden=8, out=6, **options)


@pytest.mark.parametrize("pretext", ["rotation", "jigsaw", "none"])
def test_every_parameter_learns(pretext):
    method = build(pretext=pretext, permutations=5)
    method(images(16, dtype=torch.float32))["loss"].backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_the_contrast_is_simclr_s():
    method = build(temperature=0.3, dropout=0.0, weight=0.2).double()
    batch = images(6)
    z = [method.projector(method.encoder(view["x"])) for view in batch["views"]]
    torch.manual_seed(1)
    terms = method.loss(batch)
    torch.testing.assert_close(terms["contrast"], NTXent(0.3)(*z))
    torch.manual_seed(1)
    drawn = Draws().uniform(6)
    scores, turn = method.turned(batch["views"][0]["x"], drawn)
    assert turn.tolist() == (drawn * 4).long().tolist()
    torch.testing.assert_close(terms["pretext"], 0.2 * torch.nn.functional.cross_entropy(scores, turn))


def test_each_image_is_turned_as_its_label_says():
    method = build(dropout=0.0).double()
    seen = []
    method.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = images(4)["views"][0]["x"]
    _, turn = method.turned(x, torch.tensor([0.1, 0.3, 0.6, 0.9]))
    assert turn.tolist() == [0, 1, 2, 3]
    for row in range(4):
        assert torch.equal(seen[0][row], torch.rot90(x[row], row, (1, 2)))


def test_tiles_are_cut_row_by_row_and_shuffled_by_the_permutation():
    x = torch.arange(9.0).reshape(1, 1, 3, 3).repeat_interleave(4, 2).repeat_interleave(4, 3)
    cut = tiles(x)
    assert cut.shape == (1, 9, 1, 12, 12)
    torch.testing.assert_close(cut[0], torch.arange(9.0)[:, None, None, None].expand(9, 1, 12, 12))
    seen = []
    method = ScatSimCLR(Flat(), hidden=8, out=6, pretext="jigsaw", permutations=5)
    method.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    _, chosen = method.shuffled(x, torch.tensor([0.7]))
    assert chosen.tolist() == [3]
    order = distant_permutations(9, 5)[3]
    assert seen[0].flatten(1)[:, 0].round().tolist() == order.tolist()


class Flat(torch.nn.Module):
    dim = 12

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 12)

    def forward(self, x):
        return self.layer(x.mean((1, 2, 3))[:, None])


def test_too_small_for_tiles():
    with pytest.raises(OptionError, match="at least 6"):
        tiles(torch.ones(1, 1, 5, 5))


def test_permutations_are_far_apart():
    found = distant_permutations(9, 35)
    assert found.sort(1).values.tolist() == [list(range(9))] * 35
    gaps = (found[:, None] != found[None]).sum(2) + 99 * torch.eye(35, dtype=torch.int64)
    assert int(gaps.min()) >= 7
    assert int(gaps[:9, :9].min()) == 9  # nine permutations can differ everywhere
    assert distant_permutations(3, 6).unique(dim=0).shape == (6, 3)
    for length, count in ((10, 2), (3, 7), (3, 0)):
        with pytest.raises(ValueError, match=r"permutations|count"):
            distant_permutations(length, count)


def test_dropout_drops_its_share_and_keeps_the_mean():
    part = Dropout(0.3)
    out = part(torch.ones(200, 100))
    assert float((out == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert float(out.mean()) == pytest.approx(1, abs=0.02)
    assert torch.equal(part.eval()(out), out)
    with pytest.raises(ValueError, match="probability"):
        Dropout(1.0)


def test_its_own_encoder_is_chosen(tmp_path):
    data = np.random.default_rng(0).integers(0, 256, (16, 1, 16, 16)).astype(np.uint8)
    run = tacit.pretrain(data, "scatsimclr", steps=1, batch_size=8, out=tmp_path / "a", quiet=True)
    assert run.config["encoder"]["name"] == "scattering"
    other = tacit.pretrain(data, "scatsimclr", "convnet", steps=1, batch_size=8, out=tmp_path / "b", quiet=True)
    assert other.config["encoder"]["name"] == "convnet"
