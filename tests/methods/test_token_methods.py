"""Methods on tokens, and the self-distillation that they share."""

import pytest
import torch
from tiny_encoders import TinyEncoder, TinyTokens, batch_for, images
from torch.nn.functional import affine_grid, layer_norm, smooth_l1_loss

from tacit.errors import OptionError
from tacit.methods.distillation.dino import DINO
from tacit.methods.distillation.ibot import IBOT
from tacit.methods.predictive.i_jepa import IJEPA
from tacit.methods.redundancy.vicregl import VICRegL, places_in_source
from tacit.objectives.distillation import CrossViews
from tacit.objectives.local import LocalVICReg
from tacit.objectives.redundancy import VICReg
from tacit.parts.blocks import context_and_targets
from tacit.parts.decoder import TokenPredictor
from tacit.parts.draws import Draws

SMALL = {"hidden": 8, "out": 6, "norm": "layer"}


def shaken(method):
    """The method with teachers that differ from their students."""
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if name.startswith("teacher"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return method.double()


@pytest.mark.parametrize(
    "build", [lambda: IJEPA(TinyTokens()), lambda: IBOT(TinyTokens()), lambda: DINO(TinyEncoder())]
)
def test_the_teacher_learns_by_following_alone(build):
    method = build()
    batch = batch_for(method, 4, dtype=torch.float32)
    method(batch)["loss"].backward()
    assert all(p.grad is None for n, p in method.named_parameters() if n.startswith("teacher"))
    before = {n: p.clone() for n, p in method.named_parameters() if n.startswith("teacher")}
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if not name.startswith("teacher"):
                parameter.add_(1.0)
    method.after_step(0.0)
    moved = dict(method.named_parameters())
    for name, old in before.items():
        torch.testing.assert_close(moved[name], old + 0.004, rtol=0, atol=1e-5)


def test_dino_is_its_objective_of_all_views():
    method = shaken(DINO(TinyEncoder(), prototypes=5, temperature=0.5, first_temperature=0.3, **SMALL))
    batch = batch_for(method, 3)
    x = [view["x"] for view in batch["views"]]
    assert len(x) == 8
    scores = torch.stack([method.prototypes(method.projector(method.encoder(v))) for v in x])
    taught = torch.stack(
        [method.teacher_prototypes(method.teacher_projector(method.teacher_encoder(v))) for v in x[:2]]
    )
    expected = CrossViews(0.1)(scores, (taught / 0.3).softmax(2))
    torch.testing.assert_close(method(batch)["loss"], expected)
    torch.testing.assert_close(method.sharpen.centre, 0.1 * taught.mean((0, 1)))


@pytest.mark.parametrize(("kind", "encoder"), [(DINO, TinyEncoder), (IBOT, TinyTokens)])
def test_prototypes_stay_at_first(kind, encoder):
    method = kind(encoder(), prototypes=5, freeze=0.25, **SMALL).double()
    for progress, stays in ((0.2, True), (0.25, False)):
        method.after_step(progress)
        method.zero_grad()
        method(batch_for(method, 3))["loss"].backward()
        assert bool((method.prototypes.weight.grad == 0).all()) == stays
        assert bool(method.projector[-2].weight.grad.any())
    with pytest.raises(OptionError, match="freeze is a share"):
        kind(encoder(), freeze=2.0)


def test_dino_needs_two_large_views():
    one = images(4, views=1, dtype=torch.float32)
    with pytest.raises(OptionError, match="at least 2 views"):
        DINO(TinyEncoder())(one)


def test_i_jepa_is_its_objective_of_the_targets():
    method = shaken(IJEPA(TinyTokens(), width=8, heads=2, targets=3))
    batch = batch_for(method, 4)
    x = batch["views"][0]["x"]
    torch.manual_seed(3)
    found = method(batch)["loss"]
    torch.manual_seed(3)
    keep, wanted = context_and_targets((4, 4), 4, Draws(), targets=3)
    tokens = method.encoder.tokenize(x)
    seen = method.encoder.encode_tokens(tokens.x, keep)
    slow = method.teacher.network
    taught = layer_norm(slow.encode_tokens(slow.tokenize(x).x), (12,))
    losses = []
    for m in range(3):
        predicted = method.predictor(seen, keep, wanted[:, m], tokens.position)
        losses.append(smooth_l1_loss(predicted, taught.gather(1, wanted[:, m][..., None].expand(-1, -1, 12))))
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_i_jepa_does_not_see_the_targets():
    method = IJEPA(TinyTokens()).double()
    batch, seen = batch_for(method, 4), []
    method.predictor.register_forward_hook(lambda _, inputs, out: seen.append((inputs[1], inputs[2], out)))
    torch.manual_seed(3)
    first = method(batch)["loss"]
    keep, wanted = seen[0][0][::4], seen[0][1].unflatten(0, (4, 4)).flatten(1)
    hidden = torch.zeros(4, 16).scatter(1, wanted, 1).bool()
    assert not hidden.gather(1, keep).any()
    patches = hidden.reshape(4, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = torch.where(patches, torch.randn(4, 2, 8, 8, dtype=torch.float64), batch["views"][0]["x"])
    torch.manual_seed(3)
    second = method({"x": x, "views": [{"x": x}]})["loss"]
    assert torch.equal(seen[0][2], seen[1][2])
    assert first != second


def test_a_predicted_token_depends_on_its_place():
    torch.manual_seed(0)
    predictor = TokenPredictor(6, 6, width=8, depth=1, heads=2)
    position = torch.cartesian_prod(torch.linspace(0, 1, 3), torch.linspace(0, 1, 3))
    tokens, keep = torch.randn(2, 4, 6), torch.arange(4).expand(2, 4)
    out = predictor(tokens, keep, torch.tensor([[7, 8], [8, 7]]), position)
    assert out.shape == (2, 2, 6)
    assert not torch.allclose(out[0, 0], out[0, 1])
    both = predictor(tokens[:1].expand(2, 4, 6), keep, torch.tensor([[7, 8], [8, 7]]), position)
    torch.testing.assert_close(both[0], both[1].flip(0))


def test_ibot_hides_from_the_student_and_asks_for_it():
    method = shaken(IBOT(TinyTokens(), prototypes=5, masked=1.0, share=(0.3, 0.5), **SMALL))
    batch = batch_for(method, 3)
    torch.manual_seed(3)
    hidden = method.hide(3, method.encoder.tokenize(batch["views"][0]["x"]).position)
    assert hidden.shape == (6, 16)
    assert hidden.any(1).all()
    assert not hidden.all(1).any()
    torch.manual_seed(3)
    terms = method.loss(batch)
    with torch.no_grad():
        for part in (method.sharpen, method.sharpen_tokens):
            part.centre.zero_()
    patches = hidden.unflatten(1, (4, 4)).repeat_interleave(2, 1).repeat_interleave(2, 2)[:, None].double()
    views = [dict(view) for view in batch["views"]]
    for view, patch in zip(views[:2], patches.split(3), strict=True):
        view["x"] = view["x"] + 5 * patch * torch.randn(view["x"].shape, dtype=torch.float64)
    method.teacher_encoder.network.requires_grad_(False)
    known = [method.teacher_encoder(view["x"]) for view in batch["views"][:2]]
    seen = [method.teacher_encoder(view["x"]) for view in views[:2]]
    assert not torch.allclose(known[0], seen[0])

    # with the teacher shown what it saw before, the student's answer is the same whatever lies under the mask
    class Same(torch.nn.Module):
        def tokenize(self, x):
            first = torch.cat([view["x"] for view in batch["views"][:2]])
            return method.teacher_encoder.network.tokenize(first)

        def encode_tokens(self, tokens):
            return method.teacher_encoder.network.encode_tokens(tokens)

    twin = IBOT(TinyTokens(), prototypes=5, masked=1.0, share=(0.3, 0.5), **SMALL).double()
    twin.load_state_dict(method.state_dict())
    twin.teacher_encoder.network = Same()
    torch.manual_seed(3)
    again = twin.loss(batch | {"views": views})
    for name in ("views", "tokens"):
        torch.testing.assert_close(again[name], terms[name])


def test_ibot_without_hidden_tokens_is_dino_on_pooled_tokens():
    method = shaken(IBOT(TinyTokens(), prototypes=5, masked=1e-12, **SMALL))
    batch = batch_for(method, 3)
    terms = method.loss(batch)
    assert terms["tokens"] == 0
    twin = DINO(TinyTokens(), prototypes=5, **SMALL).double()
    shared = {key: value for key, value in method.state_dict().items() if key in twin.state_dict()}
    twin.load_state_dict(shared)
    twin.sharpen.centre.zero_()
    torch.testing.assert_close(twin(batch)["loss"], terms["views"])


def test_vicregl_is_its_two_criteria():
    method = VICRegL(TinyTokens(), hidden=8, out=6, local=5, matches=3, alpha=0.6, norm="layer").double()
    batch = batch_for(method, 5)
    views = batch["views"]
    tokens = [method.encoder.encode_tokens(method.encoder.tokenize(view["x"]).x) for view in views]
    position = method.encoder.tokenize(views[0]["x"]).position
    whole = VICReg(25, 25, 0.5)(*(method.projector(t.mean(1)) for t in tokens))
    maps = [method.local_projector(t) for t in tokens]
    places = [places_in_source(position, view["theta"]) for view in views]
    local = LocalVICReg(3)(*maps, *places)
    torch.testing.assert_close(method(batch)["loss"], 0.6 * whole + 0.4 * local)


def test_places_are_those_of_the_sampling_grid():
    theta = torch.randn(3, 2, 3)
    line = [(torch.arange(n) + 0.5) / n for n in (4, 6)]
    wanted = affine_grid(theta, [3, 1, 4, 6], align_corners=False).flatten(1, 2)
    torch.testing.assert_close(places_in_source(torch.cartesian_prod(*line), theta), wanted)


def test_vicregl_needs_a_sampling_grid():
    batch = images(4, dtype=torch.float32)
    batch["views"] = [{"x": view["x"]} for view in batch["views"]]
    with pytest.raises(OptionError, match="theta"):
        VICRegL(TinyTokens())(batch)


@pytest.mark.parametrize("kind", [IJEPA, IBOT, VICRegL])
def test_tokens_are_needed(kind):
    with pytest.raises(OptionError, match="TinyEncoder"):
        kind(TinyEncoder())


BAD = [(IJEPA, {"targets": 0}), (IJEPA, {"scale": (0.5, 0.2)}), (IBOT, {"masked": 0.0}), (VICRegL, {"alpha": 1.0})]


@pytest.mark.parametrize(("kind", "options"), BAD)
def test_impossible_options_are_refused(kind, options):
    with pytest.raises(OptionError, match=next(iter(options))):
        kind(TinyTokens(), **options)
