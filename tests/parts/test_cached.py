import pytest
import torch
from torch import nn

from tacit.errors import OptionError
from tacit.methods.base import JointEmbedding
from tacit.objectives.contrastive import NTXent
from tacit.parts import cached
from tacit.registry import find


class Encoder(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.dim = 6
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, 6))
        self.largest = 0

    def forward(self, x):
        self.largest = max(self.largest, len(x))
        return self.layers(x)


class LearnedTemperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(0.3))
        self.unused = nn.Parameter(torch.tensor(0.3))

    def forward(self, z1, z2):
        return (self.logit.exp() * z1 @ z2.T).logsumexp(1).mean()


def build(name="simclr", **options):
    torch.manual_seed(0)
    return find(name, "method")(Encoder(options.pop("dropout", 0.0)), **{"norm": "layer", **options}).double()


def batch(rows=11):
    x = torch.randn(2, rows, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {"views": [{"x": x[0], "grid": 3}, {"x": x[0] + 0.2 * x[1]}]}


def gradients(method):
    return {key: p.grad.clone() for key, p in method.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["simclr", "barlow-twins", "vicreg"])
@pytest.mark.parametrize("chunk", [1, 4, 11, 50])
def test_equals_the_large_batch(name, chunk):
    method = build(name)
    expected = method(batch())
    expected["loss"].backward()
    wanted = gradients(method)
    method.zero_grad()
    method.encoder.largest = 0
    terms = cached.backward(method, batch(), chunk)
    torch.testing.assert_close(terms, {k: v.detach() for k, v in expected.items()}, rtol=1e-12, atol=1e-12)
    assert not any(value.requires_grad for value in terms.values())
    torch.testing.assert_close(gradients(method), wanted, rtol=1e-9, atol=1e-12)
    assert method.encoder.largest <= 2 * chunk


def test_replays_random_numbers():
    method = build(dropout=0.5)
    parts = [[{"x": v["x"][rows]} for v in batch()["views"]] for rows in (slice(0, 6), slice(6, 11))]
    torch.manual_seed(7)
    z1, z2 = (torch.cat(z) for z in zip(*(method.project(*views) for views in parts), strict=True))
    expected = method.objective(z1, z2)
    expected.backward()
    wanted, state = gradients(method), torch.get_rng_state()
    method.zero_grad()
    torch.manual_seed(7)
    loss = cached.backward(method, batch(), 6)["loss"]
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(method), wanted, rtol=1e-9, atol=1e-12)
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_add_up_and_go_through_the_loops_backward():
    method = build()
    cached.backward(method, batch(), 4)
    once, calls = gradients(method), []
    method.zero_grad()

    def scaled(loss):
        calls.append(loss.item())
        (3 * loss).backward()

    for _ in range(2):
        cached.backward(method, batch(), 4, scaled)
    assert len(calls) == 2 * 3
    torch.testing.assert_close(gradients(method), {k: 6 * g for k, g in once.items()}, rtol=1e-9, atol=1e-12)


def test_learned_parameters_of_the_objective():
    method = build()
    method.objective = LearnedTemperature().double()
    method(batch())["loss"].backward()
    wanted = gradients(method)
    assert "objective.logit" in wanted
    method.zero_grad()
    cached.backward(method, batch(), 4)
    torch.testing.assert_close(gradients(method), wanted, rtol=1e-9, atol=1e-12)


def test_autocast_holds_in_every_pass():
    method = build().float()
    half = {"views": [{"x": v["x"].float()} for v in batch()["views"]]}
    seen = []
    method.projector.register_forward_hook(lambda _, inputs, out: seen.append(out.dtype))
    loss = cached.backward(method, half, 4, autocast=lambda: torch.autocast("cpu", torch.bfloat16))["loss"]
    assert seen == [torch.bfloat16] * 6
    assert loss.isfinite()
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in gradients(method).values())


@pytest.mark.parametrize("name", ["byol", "mixed-barlow-twins"])
def test_refuses_methods_that_need_more_than_projections(name):
    with pytest.raises(OptionError, match="in chunks"):
        cached.backward(build(name), batch(), 4)


def test_refuses_batch_norm_unless_it_is_frozen():
    method = build(norm="batch")
    with pytest.raises(OptionError, match=r"projector\.1"):
        cached.backward(method, batch(), 4)
    method.projector.eval()
    assert cached.backward(method, batch(), 4)["loss"].isfinite()


def test_refuses_an_empty_chunk():
    with pytest.raises(OptionError, match="chunk"):
        cached.backward(build(), batch(), 0)


def test_any_joint_embedding_works():
    class Own(JointEmbedding):
        def __init__(self, encoder):
            super().__init__(encoder)
            self.projector, self.objective = nn.Identity(), NTXent()

    torch.manual_seed(0)
    method = Own(Encoder()).double()
    method(batch())["loss"].backward()
    wanted = gradients(method)
    method.zero_grad()
    cached.backward(method, batch(), 5)
    torch.testing.assert_close(gradients(method), wanted, rtol=1e-9, atol=1e-12)
