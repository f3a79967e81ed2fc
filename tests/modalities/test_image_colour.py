"""Colour changes against torchvision, one sample at a time."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tvf

from tacit.modalities.image import colour
from tacit.parts.draws import Draws

CHANGES = (tvf.adjust_brightness, tvf.adjust_contrast, tvf.adjust_saturation, tvf.adjust_hue)


def pictures(n: int, c: int = 3, side: int = 16) -> torch.Tensor:
    x = torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(1))
    x[:, :, 0] = x[:, :1, 0]  # grey pixels have no hue
    x[:, :, 1, :4] = 0
    x[:, :, 1, 4:8] = 1
    if c == 3:
        x[:, :, 2, :6] = torch.tensor([[1, 1, 0, 0, 0, 1.0], [0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]])
    return x


@pytest.mark.parametrize("strengths", [(0.4, 0.4, 0.4, 0.1), (0.8, 0.8, 0.8, 0.2), (2.0, 0.3, 1.5, 0.5)])
def test_jitter_equals_torchvision(strengths: tuple[float, float, float, float]) -> None:
    x = pictures(96)
    ours, params = colour.jitter(x, Draws.seeded(1), *strengths)
    names = ("brightness", "contrast", "saturation", "hue")
    unchanged = 0
    for i in range(len(x)):
        theirs = x[i].double()
        for change in params["order"][i].tolist():
            theirs = CHANGES[change](theirs, float(params[names[change]][i]))
        unchanged += int(torch.equal(ours[i], x[i]))
        torch.testing.assert_close(ours[i].double(), theirs, atol=1e-5, rtol=0)
    assert 8 <= unchanged <= 32


@pytest.mark.parametrize("turn", [-0.5, -0.3, -0.1, 0.04, 0.1, 0.25, 0.5])
def test_hue_equals_torchvision(turn: float) -> None:
    x = pictures(5)
    ours = colour.turn_hue_(x.clone(), torch.full((5,), turn))
    torch.testing.assert_close(ours.double(), tvf.adjust_hue(x.double(), turn), atol=1e-5, rtol=0)


def test_orders_and_factors_are_uniform() -> None:
    u = Draws.seeded(2).uniform(24_000, colour.NUMBERS)
    drawn = colour.Jitter.draw(u, (0.4, 0.4, 0.4, 0.1), 0.8)
    code = (drawn.order * torch.tensor([64, 16, 4, 1])).sum(1)
    counts = code.unique(return_counts=True)[1]
    assert len(counts) == 24
    assert counts.min() > 840
    assert counts.max() < 1160
    changed = drawn.stage < 4
    assert abs(changed.float().mean() - 0.8) < 0.012
    factors = drawn.factors[changed]
    low, high = torch.tensor([0.6, 0.6, 0.6, -0.1]), torch.tensor([1.4, 1.4, 1.4, 0.1])
    assert (factors >= low).all()
    assert (factors <= high).all()
    unit = (factors - low) / (high - low)
    assert (unit.mean(0) - 0.5).abs().max() < 0.01
    assert (unit.var(0) - 1 / 12).abs().max() < 0.003
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert torch.equal(drawn.factors[~changed], neutral.expand(int((~changed).sum()), 4))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_other_channel_counts_change_brightness_and_contrast_only(channels: int) -> None:
    x = pictures(20, channels)
    ours, params = colour.jitter(x, Draws.seeded(5), probability=1.0)
    drawn = colour.Jitter.draw(Draws.seeded(5).uniform(20, colour.NUMBERS), (0.4, 0.4, 0.4, 0.1), 1.0)
    assert set(params) == {"brightness", "contrast"}
    for i in range(len(x)):
        theirs = x[i].double()
        for change in [c for c in drawn.order[i].tolist() if c < 2]:
            if change == 0:
                theirs = (theirs * float(params["brightness"][i])).clamp(0, 1)
            else:
                factor = float(params["contrast"][i])
                theirs = (factor * theirs + (1 - factor) * theirs.mean()).clamp(0, 1)
        torch.testing.assert_close(ours[i].double(), theirs, atol=1e-5, rtol=0)


def test_solarize_equals_torchvision() -> None:
    x = torch.arange(256).float().view(1, 1, 16, 16) / 255
    theirs = tvf.solarize((x * 255).round().byte(), 128).float() / 255
    torch.testing.assert_close(colour.solarize_(x.clone(), (0.0, 1.0)), theirs)


def test_float_images_outside_the_unit_range_keep_their_own() -> None:
    x = pictures(3) * 40 - 10
    limits = colour.limits_of(x, unit=False)
    bright = colour.blend(x, torch.full((3, 1, 1), 1.4), torch.zeros(3, 1), limits)
    assert torch.equal(bright.amax((1, 2, 3)), x.amax((1, 2, 3)))
    assert bright.mean() > x.mean()
    inside = pictures(3)
    low, high = colour.limits_of(inside, unit=False)
    assert (torch.as_tensor(low) == 0).all()
    assert (torch.as_tensor(high) == 1).all()
