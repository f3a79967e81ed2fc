"""Reading image files: what comes back is compared with what numpy and Pillow say was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from written_images import everything, noise, save

from tacit.modalities.image.read_folder import class_folders
from tacit.modalities.image.reading import open_source


def test_a_folder_of_equal_images_is_stored_pixel_for_pixel(tmp_path: Path) -> None:
    pixels = noise(5, 20, 30, 3)
    for number, one in enumerate(pixels):
        save(tmp_path / f"{number}.png", one)
    source = open_source(tmp_path)
    index = torch.tensor([4, 0, 4, 2])
    batch = source.batch(index)
    assert batch["x"].dtype == torch.uint8
    assert batch["x"].is_contiguous()
    np.testing.assert_array_equal(batch["x"].numpy(), pixels[index.numpy()].transpose(0, 3, 1, 2))
    assert batch["aspect"].tolist() == [1.5] * 4
    assert batch["index"].tolist() == index.tolist()
    assert "y" not in batch
    assert source.describe() == {
        "kind": "folder",
        "path": str(tmp_path),
        "count": 5,
        "channels": 3,
        "stored": [20, 30],
        "dtype": "uint8",
        "store": "memory",
        "skipped": 0,
        "classes": None,
    }


def test_class_folders_are_labels_and_names_are_sorted_relative_paths(tmp_path: Path) -> None:
    for name in ("dog/2.png", "cat/deep/9.png", "cat/1.PNG", "dog/.hidden.png", ".trash/cat/3.png"):
        save(tmp_path / name, noise(4, 4))
    source = open_source(tmp_path)
    assert list(source.names) == ["cat/1.PNG", "cat/deep/9.png", "dog/2.png"]
    assert source.classes == ["cat", "dog"]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1]
    assert source.batch(torch.tensor([2, 0]))["y"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/1", "b/2"], ([0, 1], ["a", "b"])),
        (["train/a/1", "train/b/2"], ([0, 1], ["a", "b"])),
        (["train/a/1", "test/b/2", "test/a/3"], ([0, 1, 0], ["a", "b"])),
        (["a/1", "2"], None),
        (["a/1", "a/2"], None),
        (["1", "2"], None),
        (["train/1", "test/2"], None),
        (["a/x/1", "b/x/2"], ([0, 1], ["a", "b"])),
    ],
)
def test_classes_are_the_first_level_that_branches(names: list[str], expected: object) -> None:
    assert class_folders(names) == expected


def test_linked_folders_are_followed_once_and_loops_end(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    save(root / "sub" / "1.png", noise(4, 4))
    save(outside / "2.png", noise(4, 4))
    (root / "sub" / "loop").symlink_to(root, target_is_directory=True)
    (root / "away").symlink_to(outside, target_is_directory=True)
    (outside / "back").symlink_to(root, target_is_directory=True)
    assert list(open_source(root).names) == ["away/2.png", "sub/1.png"]


def test_images_of_different_sizes_become_squares_that_remember_their_aspect(tmp_path: Path) -> None:
    for name, shape, value in (("a", (40, 80, 3), 10), ("b", (90, 60, 3), 200), ("c", (50, 50, 3), 90)):
        save(tmp_path / f"{name}.png", np.full(shape, value, np.uint8))
    source = open_source(tmp_path)
    x = everything(source)
    assert tuple(x.shape) == (3, 3, 50, 50)  # the median short side
    assert [int(image.float().mean()) for image in x] == [10, 200, 90]
    assert source.aspect.tolist() == pytest.approx([2.0, 60 / 90, 1.0])
    assert open_source(tmp_path, image_size=32).describe()["stored"] == [37, 37]


def test_shrinking_is_antialiased_and_jpeg_draft_keeps_the_picture(tmp_path: Path) -> None:
    # stripes one pixel wide: antialiased they are even grey, by nearest pixels they are black or white
    stripes = np.tile(np.array([0, 255], np.uint8), (600, 300))
    save(tmp_path / "a.png", stripes)
    save(tmp_path / "b.png", np.full((700, 700), 128, np.uint8))
    x = everything(open_source(tmp_path, image_size=50))
    assert (x[0].float() - 127.5).abs().max() < 20
    ramp = np.tile(np.linspace(0, 255, 800).astype(np.uint8)[:, None, None], (1, 640, 3))
    save(tmp_path / "jpeg" / "a.jpg", ramp, quality=95)
    save(tmp_path / "jpeg" / "b.jpg", ramp[:, :600], quality=95)
    x = everything(open_source(tmp_path / "jpeg", image_size=40)).float()
    side = x.shape[2]
    centres = (torch.arange(side) + 0.5) / side * 255
    assert (x - centres[:, None]).abs().max() < 4


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, suffix: str, turned: int) -> None:
    # bright in the left third of the upper half as it is seen; stored as the camera held it
    seen = np.zeros((16, 24, 3), np.uint8)
    seen[:8, :8] = 255
    held = {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.transpose(1, 0, 2),
        6: seen.transpose(1, 0, 2)[::-1],
        7: seen.transpose(1, 0, 2)[::-1, ::-1],
        8: seen.transpose(1, 0, 2)[:, ::-1],
    }[turned]
    exif = Image.Exif()
    exif[0x0112] = turned
    save(tmp_path / "one" / f"a.{suffix}", np.ascontiguousarray(held), exif=exif)
    source = open_source(tmp_path / "one")
    assert source.describe()["stored"] == [16, 24]
    assert source.aspect.tolist() == [1.5]
    x = everything(source)[0].float().mean(0)
    assert (x - torch.from_numpy(seen[..., 0]).float()).abs().mean() < 8
    # and again where it is squashed beside a larger image
    save(tmp_path / "one" / "b.png", np.zeros((30, 30, 3), np.uint8))
    source = open_source(tmp_path / "one", image_size=10)
    x = everything(source)[0].float().mean(0)
    assert source.aspect.tolist() == [1.5, 1.0]
    assert x[:5, :3].min() > 200
    assert x[7:].max() < 60
    assert x[:, 6:].max() < 60


def test_transparency_lies_on_white_and_palettes_and_cmyk_become_colour(tmp_path: Path) -> None:
    half = np.zeros((4, 4, 4), np.uint8)
    half[..., 0], half[..., 3] = 200, 128
    save(tmp_path / "rgba.png", half)
    Image.new("P", (4, 4), 1).save(tmp_path / "none.gif")
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "palette_clear.png", transparency=1)
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.tif")
    Image.fromarray(np.full((4, 4), 77, np.uint8)).save(tmp_path / "grey.bmp")
    source = open_source(tmp_path)
    colour = {name: x[:, 1, 1].tolist() for name, x in zip(source.names, everything(source), strict=True)}
    assert source.skipped == []
    assert colour["palette.png"] == [10, 20, 30]
    assert colour["palette_clear.png"] == [255, 255, 255]
    assert colour["cmyk.tif"] == [255, 0, 0]
    assert colour["grey.bmp"] == [77, 77, 77]
    alpha = 128 / 255
    assert colour["rgba.png"] == pytest.approx([200 * alpha + 255 * (1 - alpha), 127, 127], abs=1)


def test_a_grey_folder_has_one_channel(tmp_path: Path) -> None:
    save(tmp_path / "a.png", noise(6, 6))
    Image.new("1", (6, 6), 1).save(tmp_path / "b.png")
    Image.new("LA", (6, 6), (0, 0)).save(tmp_path / "c.png")
    x = everything(open_source(tmp_path))
    assert tuple(x.shape) == (3, 1, 6, 6)
    assert x[1].min() == 255
    assert x[2].min() == 255  # clear: the white below it


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_depth(tmp_path: Path, suffix: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (3, 8, 6), dtype=np.uint16)
    for number, one in enumerate(deep):
        save(tmp_path / f"{number}.{suffix}", one)
    source = open_source(tmp_path)
    assert source.describe()["dtype"] == "uint16"
    x = everything(source)
    assert x.dtype == torch.float32
    np.testing.assert_array_equal((x.double() * 65535).round().numpy()[:, 0], deep)
    save(tmp_path / "eight.png", np.full((8, 6), 255, np.uint8))
    assert everything(open_source(tmp_path))[list(open_source(tmp_path).names).index("eight.png")].min() == 1
    save(tmp_path / "larger.png", np.full((20, 10), 40000, np.uint16))
    source = open_source(tmp_path)
    squashed = source.batch(torch.tensor([list(source.names).index("larger.png")]))["x"]
    assert (squashed * 65535 - 40000).abs().max() < 1


def test_float_tiff_is_kept(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    save(tmp_path / "a.tif", values)
    save(tmp_path / "b.tif", np.full((5, 7), np.nan, np.float32))
    source = open_source(tmp_path)
    np.testing.assert_array_equal(everything(source)[0, 0].numpy(), values)
    assert [name for name, _ in source.skipped] == ["b.tif"]


def test_a_late_image_of_another_size_and_colour_is_not_lost(tmp_path: Path) -> None:
    # more images than are looked at first, and the odd one where the first look does not fall
    for number in range(200):
        save(tmp_path / f"{number:03d}.png", np.full((8, 8), number, np.uint8))
    save(tmp_path / "002.png", np.full((16, 8, 3), (9, 8, 7), np.uint8))
    source = open_source(tmp_path)
    x = everything(source)
    assert tuple(x.shape) == (200, 3, 8, 8)
    assert x[2, :, 0, 0].tolist() == [9, 8, 7]
    assert x[150, :, 0, 0].tolist() == [150] * 3
    assert source.aspect[2] == 0.5
