import math

import pytest
import torch
from tiny_encoders import TinyEncoder, images
from torch import nn
from torch.nn.functional import cosine_similarity

from tacit.errors import OptionError
from tacit.methods.predictive.simsiam import SimSiam
from tacit.methods.predictive.unisiam import UniSiam


def heads(method, batch):
    z = [method.projector(method.encoder(view["x"])) for view in batch["views"]]
    return [method.predictor(p) for p in z], z


def test_simsiam_is_the_papers_loss_plus_one():
    method = SimSiam(TinyEncoder(), norm="layer").double()
    batch = images(5)
    (p1, p2), (z1, z2) = heads(method, batch)
    paper = -cosine_similarity(p1, z2).mean() / 2 - cosine_similarity(p2, z1).mean() / 2
    torch.testing.assert_close(method(batch)["loss"], paper + 1, rtol=1e-10, atol=0)


@pytest.mark.parametrize("kind", [SimSiam, lambda e: UniSiam(e, weight=0.0)])
def test_no_gradient_flows_into_the_target(kind):
    torch.manual_seed(0)
    method = kind(TinyEncoder()).double()
    batch = images(5)
    for parameter in method.predictor.parameters():
        nn.init.zeros_(parameter)
    method.predictor[-1].bias.data.fill_(1.0)
    method(batch)["loss"].backward()
    assert not any(p.grad.any() for p in method.encoder.parameters())
    assert method.predictor[-1].bias.grad.any()


def test_simsiams_projection_ends_in_a_norm_without_scale():
    last = SimSiam(TinyEncoder()).projector[-1]
    assert isinstance(last, nn.BatchNorm1d)
    assert not last.affine


def test_they_do_not_train_in_chunks():
    assert not SimSiam(TinyEncoder()).in_chunks
    assert not UniSiam(TinyEncoder()).in_chunks


def test_unisiam_is_its_objective_with_heads_as_wide_as_the_encoder():
    method = UniSiam(TinyEncoder(), norm="layer").double()
    batch = images(5)
    p, z = heads(method, batch)
    torch.testing.assert_close(method(batch)["loss"], method.objective(*p, *z), rtol=1e-10, atol=0)
    assert [m.out_features for m in method.projector if isinstance(m, nn.Linear)] == [12, 12, 12]
    assert [m.out_features for m in method.predictor if isinstance(m, nn.Linear)] == [3, 12]


class Teacher(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(128, 9), nn.BatchNorm1d(9))


class Distilled(UniSiam):
    def __init__(self, encoder):
        super().__init__(encoder, norm="layer")
        self.distil(Teacher(), 9, hidden=16, norm="layer")


def test_half_of_the_loss_is_distillation():
    method = Distilled(TinyEncoder()).double()
    batch = images(6)
    terms = method(batch)
    p, z = heads(method, batch)
    h = [method.encoder(view["x"]) for view in batch["views"]]
    far = [
        1 - cosine_similarity(method.distiller(a), method.teacher(v["x"]))
        for a, v in zip(h, batch["views"], strict=True)
    ]
    torch.testing.assert_close(terms["distillation"], torch.cat(far).mean() / 2, rtol=1e-10, atol=0)
    whole = method.objective(*p, *z) / 2 + torch.cat(far).mean() / 2
    torch.testing.assert_close(terms["loss"], whole, rtol=1e-10, atol=0)


def test_the_teacher_stays_as_it_is():
    method = Distilled(TinyEncoder()).train()
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    method(images(6, dtype=torch.float32))["loss"].backward()
    assert not method.teacher.training
    assert all(torch.equal(value, before[name]) for name, value in method.teacher.state_dict().items())
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.distiller.parameters())
    with pytest.raises(OptionError, match="already"):
        method.distil(Teacher(), 9)


def test_uniformity_raises_the_spread():
    """With a large weight two clusters of samples are pushed apart further than with none."""

    def spread(weight):
        torch.manual_seed(0)
        method = UniSiam(TinyEncoder(), weight=weight, norm="none").float()
        optimiser = torch.optim.Adam(method.parameters(), 3e-3)
        batch = images(32, dtype=torch.float32)
        for _ in range(60):
            optimiser.zero_grad()
            method(batch)["loss"].backward()
            optimiser.step()
        z = torch.cat(heads(method, batch)[1])
        return (nn.functional.normalize(z, dim=1).std(0).mean() * math.sqrt(z.shape[1])).item()

    assert spread(2.0) > 1.2 * spread(0.0)
