"""Crops and blurs against torchvision, one sample at a time."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tvf

from tacit.modalities.image import blur, geometry
from tacit.modalities.image.boxes import NUMBERS, Boxes, central_boxes, random_boxes
from tacit.parts.draws import Draws


def textured(n: int, c: int, h: int, w: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, c, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(h + w))


def boxes_for(n: int, h: int, w: int, **options: object) -> Boxes:
    u = Draws.seeded(n, h, w).uniform(n, NUMBERS)
    return random_boxes(u, (h, w), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((12, 3, 32, 32), (32, 32)),
        ((12, 1, 28, 20), (32, 24)),
        ((12, 3, 160, 200), (96, 96)),
        ((6, 3, 256, 256), (224, 224)),
        ((6, 5, 90, 70), (80, 100)),
        ((6, 3, 500, 40), (70, 71)),
    ],
)
def test_crop_equals_torchvision(shape: tuple[int, int, int, int], size: tuple[int, int]) -> None:
    x = textured(*shape)
    boxes = boxes_for(shape[0], shape[2], shape[3], scale=(0.08, 1.0))
    ours = geometry.crop_all(x, boxes, size)
    # Centres are float32 coordinates: their spacing, once for each axis, times the largest step between pixels.
    spacing = 2 * max(shape[2:]) * torch.finfo(torch.float32).eps
    for i in range(len(x)):
        box = [int(t[i]) for t in (boxes.top, boxes.left, boxes.height, boxes.width)]
        theirs = tvf.resized_crop(x[i].double() / 255, *box, list(size), antialias=True)
        if boxes.flip[i]:
            theirs = theirs.flip(-1)
        torch.testing.assert_close(ours[i].double(), theirs, atol=spacing, rtol=0)
    assert 0 < boxes.flip.sum() < len(x)


def test_crop_of_float_keeps_its_range() -> None:
    x = textured(4, 2, 20, 20).float() * 7 - 300
    boxes = boxes_for(4, 20, 20)
    of_bytes = geometry.crop_all(textured(4, 2, 20, 20), boxes, (16, 16)) * 255 * 7 - 300
    torch.testing.assert_close(geometry.crop_all(x, boxes, (16, 16)), of_bytes, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("h", "w", "scale"), [(32, 32, (0.2, 1.0)), (24, 90, (0.5, 1.0)), (90, 24, (0.08, 1.0))])
def test_boxes_are_distributed_as_torchvisions(h: int, w: int, scale: tuple[float, float]) -> None:
    n, ratio = 4000, (3 / 4, 4 / 3)
    ours = boxes_for(n, h, w, scale=scale, ratio=ratio)
    image = torch.empty(1, h, w)
    torch.manual_seed(0)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)]).float()
    mine = torch.stack([ours.top, ours.left, ours.height, ours.width], 1)
    assert torch.equal(mine, mine.round())
    for power in (1, 2):
        a, b = mine**power, theirs**power
        error = ((a.var(0) + b.var(0)) / n).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 4.5 * error + 1e-6).all()
    for column in range(4):
        ordered = [t[:, column].sort().values for t in (mine, theirs)]
        grid = torch.cat(ordered)
        steps = [torch.searchsorted(t, grid, right=True) / n for t in ordered]
        assert (steps[0] - steps[1]).abs().max() < 1.95 * math.sqrt(2 / n)  # Kolmogorov-Smirnov, p = 0.001


def test_no_box_fits_gives_the_central_one() -> None:
    boxes = boxes_for(50, 10, 200, scale=(1.0, 1.0))
    assert (boxes.height == 10).all()
    assert (boxes.width == 13).all()
    assert (boxes.left == 93).all()


def test_squashed_images_are_cropped_in_true_geometry() -> None:
    boxes = boxes_for(500, 64, 64, aspect=torch.full((500,), 2.0))
    true_ratio = boxes.width * 2 / boxes.height
    assert true_ratio.min() > 0.72
    assert true_ratio.max() < 1.39
    assert (boxes.left + boxes.width).max() <= 64 + 1e-4
    plain = boxes_for(500, 64, 32, aspect=torch.full((500,), 0.5))
    as_stored = boxes_for(500, 64, 32)
    for name in ("top", "left", "height", "width"):
        assert torch.equal(getattr(plain, name), getattr(as_stored, name))


def test_theta_is_the_sampling_grid() -> None:
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    x = torch.stack([rows, columns]).expand(8, 2, 40, 60)
    images, params = geometry.crop_flip(x, None, Draws.seeded(3), (50, 50), (0.2, 0.5))
    grid = F.affine_grid(params["theta"], [8, 2, 50, 50], align_corners=False)
    where = torch.stack([(grid[..., 1] + 1) * 20 - 0.5, (grid[..., 0] + 1) * 30 - 0.5], 1)
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(images[inner], where[inner], atol=1e-3, rtol=0)
    assert 0 < params["flip"].sum() < 8


def test_central_box_keeps_the_aspect() -> None:
    boxes = central_boxes(1, (60, 100), None, (32, 32))
    assert (boxes.top, boxes.left, boxes.height, boxes.width) == (0, 20, 60, 60)
    squashed = central_boxes(2, (64, 64), torch.tensor([4.0, 1.0]), (32, 32))
    assert squashed.width.tolist() == [16, 64]
    assert squashed.left.tolist() == [24, 0]


@pytest.mark.parametrize(("size", "kernel"), [((224, 224), 23), ((65, 90), 7), ((32, 32), 3), ((20, 30), 23)])
def test_blur_equals_torchvision(size: tuple[int, int], kernel: int) -> None:
    x = torch.rand(4, 3, *size, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.5, 1.3, 2.0])
    ours = blur.gaussian_blur(x, sigma, kernel)
    for i, width in enumerate(sigma.tolist()):
        theirs = tvf.gaussian_blur(x[i].double(), [kernel, kernel], [width, width])
        torch.testing.assert_close(ours[i].double(), theirs, atol=2e-6, rtol=0)


def test_blur_kernel_is_a_tenth_of_the_side() -> None:
    assert [blur.kernel_size(side) for side in (224, 96, 64, 10)] == [23, 9, 7, 3]


def test_blur_of_an_image_smaller_than_the_kernel_keeps_a_constant() -> None:
    x = torch.full((2, 1, 3, 5), 0.7)
    torch.testing.assert_close(blur.gaussian_blur(x, torch.tensor([1.0, 2.0]), 9), x)
    one = torch.full((1, 1, 1, 1), 0.3)
    torch.testing.assert_close(blur.gaussian_blur(one, torch.tensor([1.0])), one)
