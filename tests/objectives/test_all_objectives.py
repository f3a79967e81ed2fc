"""What holds for every objective on pairs of projections."""

import pytest
import torch

from tacit.objectives import blocks
from tacit.objectives.base import check_pairs
from tacit.objectives.contrastive import NTXent
from tacit.objectives.dispersion import DispersiveLoss
from tacit.objectives.entropy import EffectiveEntropy
from tacit.objectives.infomax import InfoMax
from tacit.objectives.isotropy import LeJEPA
from tacit.objectives.predictive import NegativeCosine
from tacit.objectives.redundancy import BarlowTwins, MixedBarlowTwins, VICReg
from tacit.objectives.spanning_tree import TRegs
from tacit.objectives.whitening import WhitenedMSE


class Mixed(MixedBarlowTwins):
    """Of two projections: the mixture is that of the projections, partners in reverse."""

    def forward(self, z1, z2):
        partner = torch.arange(len(z1) - 1, -1, -1)
        return super().forward(z1, z2, (z1.float() + z2.float()) / 2, 0.3, partner)


class Along(LeJEPA):
    """Along the axes and two diagonals."""

    def forward(self, z1, z2):
        width = z1.shape[1]
        axes = torch.cat((torch.eye(width), torch.ones(width, 1), -torch.ones(width, 1)), 1)
        return super().forward(z1, z2, directions=axes)


class Predicted(InfoMax):
    """With the projections of the view itself as predictions."""

    def forward(self, z1, z2):
        return super().forward(z1, z2, z1, z2)


class Both(DispersiveLoss):
    """Of both views' features at once."""

    def forward(self, z1, z2):
        check_pairs(z1, z2)
        return super().forward(torch.cat((z1, z2), 1))


PAIRS = [NTXent(0.1), BarlowTwins(), Mixed(), VICReg(), NegativeCosine()]
PAIRS += [
    WhitenedMSE(8),
    WhitenedMSE(8, normalise=False),
    TRegs(),
    EffectiveEntropy(),
    EffectiveEntropy(space="sphere"),
]
PAIRS += [Along(), Predicted(), *map(Both, ("l2", "cosine", "hinge", "covariance"))]
each = pytest.mark.parametrize("objective", PAIRS, ids=lambda o: type(o).__name__)


class InBlocks(NTXent):
    """With three similarities held at a time."""

    def forward(self, z1, z2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "BLOCK", 3)
            return super().forward(z1, z2)


each_path = pytest.mark.parametrize("objective", [*PAIRS, InBlocks(0.1)], ids=lambda o: type(o).__name__)


def value_and_gradient(objective, z1, z2, autocast=False):
    pair = [z.clone().requires_grad_() for z in (z1, z2)]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = objective(*pair)
    value.backward()
    return value, [z.grad for z in pair]


KINDS = ["zero", "constant", "one for all", "duplicates", "equal views", "opposite views", "dead dimension"]
KINDS += ["batch of 2", "huge", "far from zero", "tiny", "one dimension"]


def hard(kind):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 8, 4, generator=generator)
    return {
        "zero": torch.zeros(2, 8, 4),
        "constant": torch.full((2, 8, 4), 0.7),
        "one for all": z[:, :1].expand(2, 8, 4),
        "duplicates": z[:, [0, 0, 1, 1, 2, 2, 3, 3]],
        "equal views": z[:1].expand(2, 8, 4),
        "opposite views": torch.stack((z[0], -z[0])),
        "dead dimension": z * torch.tensor([1.0, 0, 1, 1]),
        "batch of 2": z[:, :2],
        "huge": 1e4 * z,
        "far from zero": 1e4 + z,
        "tiny": 1e-6 * z,
        "one dimension": z[..., :1],
    }[kind].unbind()


@each_path
@pytest.mark.parametrize("kind", KINDS)
def test_finite_on_hard_inputs(objective, kind):
    value, gradients = value_and_gradient(objective, *hard(kind))
    assert value.ndim == 0
    assert value.isfinite()
    assert all(g.isfinite().all() for g in gradients)


@each
def test_half_precision_is_widened(objective):
    z1, z2 = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected, _ = value_and_gradient(objective, z1.float(), z2.float())
    value, gradients = value_and_gradient(objective, z1, z2)
    assert value.dtype == torch.float32
    assert value == expected
    assert all(g.dtype == torch.bfloat16 and g.isfinite().all() for g in gradients)


@each_path
def test_autocast_is_off_inside(objective):
    z1, z2 = torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(0))
    expected = value_and_gradient(objective, z1, z2)
    value, gradients = value_and_gradient(objective, z1, z2, autocast=True)
    assert value == expected[0]
    torch.testing.assert_close(gradients, expected[1], rtol=0, atol=0)


@each
def test_too_few_samples(objective):
    with pytest.raises(ValueError, match="at least 2 samples"):
        objective(torch.ones(1, 4), torch.ones(1, 4))


SHAPES = [((4, 3), (5, 3)), ((4, 3), (4, 2)), ((4, 3, 2), (4, 3, 2)), ((4,), (4,))]


SHAPED = [NTXent(), BarlowTwins(), VICReg(), NegativeCosine(), WhitenedMSE(), TRegs(), EffectiveEntropy()]


@pytest.mark.parametrize("objective", SHAPED)
@pytest.mark.parametrize(("first", "second"), SHAPES)
def test_wrong_shapes(objective, first, second):
    with pytest.raises(ValueError, match="one shape"):
        objective(torch.ones(first), torch.ones(second))


def test_wrong_shape_of_a_mixture():
    with pytest.raises(ValueError, match="one shape"):
        MixedBarlowTwins()(torch.ones(4, 3), torch.ones(4, 3), torch.ones(4, 2), 0.5, torch.arange(4))


@pytest.mark.parametrize("objective", [BarlowTwins(), VICReg(), TRegs(), EffectiveEntropy()])
def test_terms_add_up(objective):
    z1, z2 = torch.randn(2, 16, 8)
    assert sum(objective.terms(z1, z2).values()).item() == pytest.approx(objective(z1, z2).item())


@each
def test_repr_shows_hyperparameters(objective):
    assert type(objective).crosses in ("gather", "sum", "local")
    for name, value in vars(objective).items():
        if isinstance(value, float):
            assert f"{name}={value}" in repr(objective)


def test_temperature_must_be_positive():
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            NTXent(bad)
