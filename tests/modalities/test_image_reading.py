"""Reading images: what comes back is compared with what numpy and Pillow say was written."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from tacit.errors import DataError, OptionError
from tacit.modalities.image import stores
from tacit.modalities.image.read_folder import class_folders
from tacit.modalities.image.reading import ImageSource, open_source, recognises


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def everything(source: ImageSource) -> torch.Tensor:
    return source.batch(torch.arange(len(source)))["x"]


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


def test_the_cache_is_mapped_reused_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    for number in range(4):
        save(folder / str(number % 2) / f"{number}.png", noise(6, 6, 3, seed=number))
    (folder / "0" / "broken.png").write_bytes(b"\x89PNG nothing")
    plain = open_source(folder)
    mapped = open_source(folder, cache=cache, memory=0)
    assert mapped.describe()["store"] == "mapped"
    torch.testing.assert_close(everything(mapped), everything(plain), rtol=0, atol=0)
    assert len(list(cache.iterdir())) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr("tacit.modalities.image.read_decode.pixels_of", refuse)
        again = open_source(folder, cache=cache, memory=0)
    torch.testing.assert_close(everything(again), everything(plain), rtol=0, atol=0)
    assert (again.names, again.skipped, again.classes) == (plain.names, plain.skipped, plain.classes)
    assert torch.equal(again.aspect, plain.aspect)
    assert again.labels is not None
    assert plain.labels is not None
    assert torch.equal(again.labels, plain.labels)

    save(folder / "1" / "3.png", np.zeros((6, 6, 3), np.uint8))
    os.utime(folder / "1" / "3.png", ns=(1, 1))
    changed = open_source(folder, cache=cache, memory=0)
    assert everything(changed)[-1].max() == 0


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", noise(6, 6))
    first = everything(open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)).clone()
    (made,) = (tmp_path / "cache").iterdir()
    (made / "pixels.npy").write_bytes(b"damaged")
    again = open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert torch.equal(everything(again), first)


def test_an_interrupted_decoding_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        save(tmp_path / "images" / f"{number}.png", noise(6, 6))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tacit.modalities.image.read_decode.pixels_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", noise(6, 6))
    dead = os.fork()
    if not dead:
        os._exit(0)
    os.waitpid(dead, 0)
    left = tmp_path / "cache" / f"{stores.PARTIAL}{dead}-abc"
    left.mkdir(parents=True)
    open_source(tmp_path / "images", cache=tmp_path / "cache", memory=0)
    assert not left.exists()


def test_memory_decides_between_store_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "images" / "a.png", noise(10, 10, 3))  # 300 bytes: 40% of 750
    for available, expected in ((750, "memory"), (740, "mapped")):
        monkeypatch.setattr(stores, "available_memory", lambda value=available: value)
        source = open_source(tmp_path / "images", cache=tmp_path / "cache")
        assert source.describe()["store"] == expected
    assert open_source(noise(4, 10, 10)).describe()["store"] == "memory"


def test_progress_is_quiet_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png", noise(4, 4))
    open_source(tmp_path, progress=True)
    assert capsys.readouterr() == ("", "")


def test_the_cache_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path / "elsewhere"))
    save(tmp_path / "images" / "a.png", noise(6, 6))
    open_source(tmp_path / "images", memory=0)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_threads_change_nothing(tmp_path: Path) -> None:
    for number in range(150):
        save(tmp_path / f"{number}.png", noise(7 + number % 3, 9, 3, seed=number))
    one, four = open_source(tmp_path, workers=1), open_source(tmp_path, workers=4)
    assert torch.equal(everything(one), everything(four))
    assert torch.equal(one.aspect, four.aspect)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((5, 12, 10), None, (1, 12, 10)),
        ((5, 3, 12, 10), None, (3, 12, 10)),
        ((5, 12, 10, 3), None, (3, 12, 10)),
        ((5, 12, 10, 7), None, (7, 12, 10)),
        ((5, 8, 8, 8), "NCHW", (8, 8, 8)),
        ((5, 4, 8, 2), "NHWC", (2, 4, 8)),
        ((5, 4, 8, 2), "NCHW", (4, 8, 2)),
    ],
)
def test_the_layout_of_arrays(shape: tuple[int, ...], layout: str | None, expected: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    last = layout == "NHWC" or (layout is None and len(shape) == 4 and shape[-1] < shape[1])
    truth = pixels[:, None] if len(shape) == 3 else pixels.transpose(0, 3, 1, 2) if last else pixels
    for data in (pixels, torch.from_numpy(pixels)):
        source = open_source(data, layout=layout)
        x = source.batch(torch.tensor([3, 1]))["x"]
        assert x.is_contiguous()
        assert tuple(x.shape[1:]) == expected
        np.testing.assert_array_equal(x.numpy(), truth[[3, 1]])
        assert source.aspect.tolist() == pytest.approx([expected[2] / expected[1]] * 5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([False, True]), np.array([0, 255], np.uint8)),
        (np.array([0, 65535], np.uint16), np.array([0, 1], np.float32)),
        (np.array([0, 65535], ">u2"), np.array([0, 1], np.float32)),
        (np.array([3, 250], np.int64), np.array([3, 250], np.uint8)),
        (np.array([-3, 250], np.int16), np.array([-3, 250], np.float32)),
        (np.array([0, 1000], np.int32), np.array([0, 1000], np.float32)),
        (np.array([0.25, -2.0], np.float64), np.array([0.25, -2.0], np.float32)),
        (np.array([0.25, -2.0], np.float16), np.array([0.25, -2.0], np.float32)),
    ],
)
def test_the_types_of_arrays(values: np.ndarray, expected: np.ndarray) -> None:
    x = everything(open_source(np.broadcast_to(values[:, None, None], (2, 4, 4))))
    assert x.dtype == torch.from_numpy(expected).dtype
    np.testing.assert_array_equal(x[:, 0, 2, 1].numpy(), expected)


def test_array_files(tmp_path: Path) -> None:
    pixels, labels = noise(6, 8, 8, 3), np.array([0, 1, 2, 0, 1, 2], np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "named.npz", images=pixels, labels=labels)
    np.savez_compressed(tmp_path / "only.npz", whatever=pixels, targets=labels[:4], other=labels)
    truth = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    small, large = open_source(tmp_path / "a.npy"), open_source(str(tmp_path / "a.npy"), memory=0)
    assert (small.describe()["store"], large.describe()["store"]) == ("memory", "mapped")
    named, only = open_source(tmp_path / "named.npz"), open_source(tmp_path / "only.npz")
    for source in (small, large, named, only):
        assert torch.equal(everything(source), truth)
    assert named.labels is not None
    assert named.labels.tolist() == labels.tolist()
    assert only.labels is None
    assert small.describe()["path"] == str(tmp_path / "a.npy")


class Pairs(Dataset):
    classes = ("zero", "one")

    def __init__(self, items: list[object]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> object:
        return self.items[position]


def test_datasets_give_the_same_pixels_in_every_form() -> None:
    pixels = noise(4, 9, 7, 3)
    truth = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    forms: dict[str, list[object]] = {
        "tensor": list(truth),
        "pair": [(image, number % 2) for number, image in enumerate(truth)],
        "pil": [(Image.fromarray(one), torch.tensor(number % 2)) for number, one in enumerate(pixels)],
        "dict": [{"image": one, "label": np.int64(number % 2)} for number, one in enumerate(pixels)],
        "x": [{"x": one, "y": number % 2} for number, one in enumerate(pixels)],
    }
    for form, items in forms.items():
        source = open_source(Pairs(items))
        assert torch.equal(everything(source), truth), form
        if form == "tensor":
            assert source.labels is None
        else:
            assert source.labels is not None
            assert source.labels.tolist() == [0, 1, 0, 1]
            assert source.classes == ["zero", "one"]
        assert source.describe()["kind"] == "dataset"


def test_lists_of_arrays_pictures_and_paths(tmp_path: Path) -> None:
    pixels = noise(3, 9, 7, 3)
    truth = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
    paths = [save(tmp_path / f"{number}.png", one) for number, one in enumerate(pixels)]
    pictures = [Image.open(path) for path in paths]
    for data in (list(pixels), list(truth), [Image.fromarray(one) for one in pixels], pictures, paths):
        assert recognises(data)
        assert torch.equal(everything(open_source(data)), truth)
    assert pictures[0].getpixel((0, 0)) == tuple(pixels[0, 0, 0])  # still open, still whole
    assert open_source(paths[::-1]).names == [str(path) for path in paths[::-1]]
    ragged = [np.full((8, 6, 5), 7, np.uint8), np.full((12, 30, 5), 100, np.uint8)]
    source = open_source(ragged)
    assert everything(source).float().mean((1, 2, 3)).tolist() == [7, 100]
    assert source.aspect.tolist() == pytest.approx([6 / 8, 30 / 12])


def test_late_items_of_another_kind_are_not_lost() -> None:
    items: list[object] = [np.full((8, 8), number, np.uint8) for number in range(150)]
    items[1] = np.full((3, 16, 8), 0.5, np.float32)
    source = open_source(Pairs(items), layout="NCHW")
    x = everything(source)
    assert tuple(x.shape) == (150, 3, 8, 8)
    assert x[1].unique().tolist() == [0.5]
    torch.testing.assert_close(x[51].unique(), torch.tensor([51 / 255]))


def test_hugging_face_data_sets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pixels = noise(4, 9, 7, 3)
    features = datasets.Features(
        {"text": datasets.Value("string"), "photo": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"text": list("wxyz"), "photo": [Image.fromarray(one) for one in pixels], "kind": [1, 0, 0, 1]}
    data = datasets.Dataset.from_dict(rows, features=features)
    assert recognises(data)
    source = open_source(data)
    np.testing.assert_array_equal(everything(source).numpy(), pixels.transpose(0, 3, 1, 2))
    assert source.labels is not None
    assert source.labels.tolist() == [1, 0, 0, 1]
    assert source.classes == ["a", "b"]
    assert not recognises(data.remove_columns("photo"))


def test_what_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    yes = [tmp_path, str(tmp_path), "missing", "missing.npz", tmp_path / "x.npy", np.zeros((2, 3, 4))]
    yes += [torch.zeros(1, 2, 3, 4), Pairs([]), [torch.zeros(3, 4)], [np.zeros((3, 4)), 0], ["a.png"]]
    no = [tmp_path / "table.csv", np.zeros((3, 4)), torch.zeros(2, 2, 2, 2, 2), 7, None, [], ["a.wav"], {"a": 1}]
    assert all(recognises(data) for data in yes)
    assert not any(recognises(data) for data in no)


def test_options_are_checked(tmp_path: Path) -> None:
    for option in ({"layout": "CHW"}, {"image_size": 0}, {"workers": 0}, {"memory": -1}):
        with pytest.raises(OptionError, match=next(iter(option))):
            open_source(tmp_path, **option)


def test_one_damaged_item_of_a_data_set_is_skipped_with_its_label(tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", noise(5, 5))
    (tmp_path / "bad.png").write_text("text")
    source = open_source([(str(good), 3), (str(tmp_path / "bad.png"), 1), (str(good), 2)])
    assert source.labels is not None
    assert source.labels.tolist() == [3, 2]
    assert source.names == ["0", "2"]
    assert source.skipped == [("1", "not an image, or damaged")]


def test_real_photographs(tmp_path: Path) -> None:
    where = os.environ.get("TACIT_DATA")
    if not where or not (Path(where) / "cifar10-test.tar").exists():
        pytest.skip("TACIT_DATA does not name a folder with cifar10-test.tar")
    with tarfile.open(Path(where) / "cifar10-test.tar") as archive:
        members = [member for member in archive if member.name.endswith(".jpg")][::25]
        archive.extractall(tmp_path, members, filter="data")
    source = open_source(tmp_path)
    assert (len(source), source.skipped) == (200, [])
    assert source.labels is not None
    assert source.labels.bincount().tolist() == [20] * 10
    with Image.open(tmp_path / source.names[123]) as image:
        np.testing.assert_array_equal(everything(source)[123].numpy(), np.asarray(image).transpose(2, 0, 1))


def test_an_array_is_not_copied() -> None:
    pixels = noise(4, 3, 8, 8)
    source = open_source(pixels)
    assert source.store.pixels.data_ptr() == pixels.ctypes.data


def test_mixed_channels_are_refused() -> None:
    with pytest.raises(DataError, match="equally many channels"):
        open_source([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 5), np.uint8)])
