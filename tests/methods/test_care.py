import pytest
import torch
from tiny_encoders import TinyEncoder, batch_for, images

from tacit.errors import OptionError
from tacit.methods.contrastive.care import CARE
from tacit.modalities import image
from tacit.objectives.contrastive import NTXent
from tacit.objectives.rotation import GramMatching
from tacit.parts.draws import Draws

SPEC = image.Spec(3, (12, 12), (0.5,) * 3, (0.25,) * 3)
DRAWN = ("theta", "flip", "brightness", "contrast", "saturation", "hue", "order", "gray", "blur")


def views(count, **options):
    x = torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return image.make_views("pair-and-shared", SPEC, **options)({"x": x}, Draws.seeded(3))


def test_a_chunk_shares_all_parameters_and_chunks_differ():
    own, _, first, second = views(11, chunk=4, blur=0.5)
    assert "chunk" not in own
    for view in (first, second):
        assert view["chunk"] == 4
        for name in DRAWN:
            rows = view[name]
            assert torch.equal(rows, rows[torch.arange(11) // 4 * 4]), name
        assert not torch.equal(view["theta"][0], view["theta"][4])
        assert not torch.equal(view["theta"][4], view["theta"][8])
    assert not torch.equal(first["theta"], second["theta"])
    assert not torch.equal(own["theta"][0], own["theta"][1])


def test_equal_images_of_a_chunk_stay_equal():
    x = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8).expand(8, 3, 16, 16).contiguous()
    _, _, first, _ = image.make_views("pair-and-shared", SPEC, chunk=4)({"x": x}, Draws.seeded(0))
    assert torch.equal(first["x"][:4], first["x"][:1].expand(4, 3, 12, 12))
    assert not torch.equal(first["x"][0], first["x"][4])


def test_the_ordinary_views_are_those_of_the_pair():
    x = torch.randint(0, 256, (6, 3, 16, 16), dtype=torch.uint8)
    alone = image.make_views("pair", SPEC)({"x": x}, Draws.seeded(3))
    four = image.make_views("pair-and-shared", SPEC)({"x": x}, Draws.seeded(3))
    assert all(torch.equal(a["x"], b["x"]) for a, b in zip(alone, four[:2], strict=True))


def test_draws_in_chunks_repeat_rows():
    rows = Draws.seeded(5).in_chunks(3).uniform(8, 2)
    assert torch.equal(rows, Draws.seeded(5).uniform(3, 2).repeat_interleave(3, 0)[:8])


def test_the_loss_is_its_two_objectives():
    method = CARE(TinyEncoder(), hidden=8, out=6, norm="layer", weight=0.2, temperature=0.3).double()
    batch = batch_for(method, 8)
    z = [method.projector(method.encoder(view["x"])) for view in batch["views"]]
    terms = method.loss(batch)
    torch.testing.assert_close(terms["contrast"], NTXent(0.3)(z[0], z[1]))
    torch.testing.assert_close(terms["equivariance"], 0.2 * GramMatching(4)(z[2], z[3]))


def test_views_that_are_not_shared_are_refused():
    with pytest.raises(OptionError, match="pair-and-shared"):
        CARE(TinyEncoder())(images(4, dtype=torch.float32))
    with pytest.raises(OptionError, match="chunk"):
        views(4, chunk=1)
