"""Files, series and arrays of volumes are read as they were written, and bad ones are named."""

from __future__ import annotations

import gzip
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tacit
from tacit.errors import DataError, MissingExtra, OptionError
from tacit.modalities import open_source, recognised, volume
from tacit.modalities.volume.space import common, fitted, resampled, standardised, triangle, upright

KEPT: dict[str, Any] = {"intensity": "kept"}


def block(*sides: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-500, 500, sides).astype(np.int16)


def write_nifti(path: Path, xyz: np.ndarray, affine: np.ndarray, slope: float = 1.0, inter: float = 0.0) -> Path:
    """Byte by byte as the format has it: voxels ``[x, y, z(, t)]`` of int16."""
    header = bytearray(348)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, xyz.ndim, *xyz.shape, *[1] * (7 - xyz.ndim))
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<8f", header, 76, 1.0, *np.linalg.norm(affine[:3, :3], axis=0), *[1.0] * 4)
    struct.pack_into("<fff", header, 108, 352.0, slope, inter)
    header[123] = 2
    struct.pack_into("<hh", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    data = bytes(header) + bytes(4) + xyz.astype("<i2").tobytes(order="F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def write_series(folder: Path, stack: np.ndarray, gap: float = 2.0, pixel: tuple[float, float] = (0.5, 0.75), *,
                 slope: float = 1.0, intercept: float = 0.0, turn: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
                 ending: str = ".dcm", series: str = "1.2.3", shuffle: bool = True) -> Path:  # fmt: skip
    """Slices ``[N, rows, columns]`` of int16 as files of their own, in an order that says nothing."""
    pydicom = pytest.importorskip("pydicom")
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(turn[:3], turn[3:])
    names = np.random.default_rng(1).permutation(len(stack)) if shuffle else np.arange(len(stack))
    for i, pixels in enumerate(stack):
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = f"{series}.{i}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data = pydicom.dataset.FileDataset("", {}, file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.InstanceNumber = series, int(names[i])
        data.Rows, data.Columns, data.SamplesPerPixel = *pixels.shape, 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 1
        data.PixelSpacing, data.ImageOrientationPatient = list(pixel), [float(v) for v in turn]
        data.ImagePositionPatient = [float(v) for v in 10.0 + i * gap * normal]
        data.RescaleSlope, data.RescaleIntercept = slope, intercept
        data.PixelData = pixels.astype("<i2").tobytes()
        data.save_as(folder / f"{names[i]:03d}{ending}", enforce_file_format=True)
    return folder


def first(source: Any, at: int = 0) -> np.ndarray:
    return source.batch(torch.tensor([at]))["x"][0].numpy()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_file_holds_what_was_written(name: str, tmp_path: Path) -> None:
    xyz = block(5, 7, 9)
    source = open_source(write_nifti(tmp_path / name, xyz, np.diag([1.0, 2.0, 3.0, 1.0]), 2.0, 10.0), **KEPT)
    assert source.modality == "volume"
    facts = source.describe()
    assert facts["spacing"] == (3.0, 2.0, 1.0)
    assert facts["stored"] == [9, 7, 5]
    # counted to the right and to the front by the file, to the left and to the back by us
    wanted = (2.0 * xyz + 10)[::-1, ::-1].transpose(2, 1, 0)
    assert np.array_equal(first(source)[0], wanted.astype(np.float32))
    assert volume.spec_of(source).words() == "1 channel, 9 x 7 x 5 voxels, 3 x 2 x 1 mm a voxel"


@pytest.mark.parametrize("seed", range(4))
def test_every_way_to_store_a_head_gives_the_same_head(seed: int, tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    random = np.random.default_rng(seed)
    xyz, affine = block(4, 6, 8, seed=seed), np.diag([1.0, 1.5, 2.0, 1.0])
    order = random.permutation(3)
    signs = random.choice([-1.0, 1.0], 3)
    stored = xyz.transpose(order)
    turned = np.zeros((4, 4))
    turned[3, 3] = 1
    for new, old in enumerate(order):
        turned[old, new] = affine[old, old] * signs[new]
    stored = stored[tuple(slice(None, None, int(s)) for s in signs)]
    turned[:3, :3] += 0.03 * random.normal(size=(3, 3))  # a little askew, as scans are
    path = write_nifti(tmp_path / "a.nii", stored, turned)
    canonical = np.asarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj)
    assert np.array_equal(canonical, xyz)
    assert np.array_equal(first(open_source(path, **KEPT))[0], xyz[::-1, ::-1].transpose(2, 1, 0))


def test_a_fourth_axis_are_channels(tmp_path: Path) -> None:
    xyzt = block(4, 5, 6, 2)
    source = open_source(write_nifti(tmp_path / "a.nii", xyzt, np.eye(4)), **KEPT)
    assert np.array_equal(first(source), xyzt[::-1, ::-1].transpose(3, 2, 1, 0))


@pytest.mark.parametrize("ending", [".dcm", ""])
def test_a_series_of_slices_is_a_volume(ending: str, tmp_path: Path) -> None:
    stack = block(4, 6, 5)
    write_series(tmp_path / "one", stack, slope=2.0, intercept=-1024.0, ending=ending)
    folder = tmp_path / "one"
    assert recognised(folder)[0] == "volume"
    source = open_source(folder, **KEPT)
    assert list(source.names) == ["one"]
    assert source.describe()["spacing"] == (2.0, 0.5, 0.75)
    assert np.array_equal(first(source)[0], stack * np.float32(2) - 1024)


def test_slices_seen_from_the_side_stand_upright(tmp_path: Path) -> None:
    # slices go to the left, rows from front to back, columns downwards
    side = (0, 1, 0, 0, 0, -1)
    assert np.array_equal(np.cross(side[:3], side[3:]), [-1, 0, 0])
    stack = block(3, 6, 5)
    source = open_source(write_series(tmp_path / "s", stack, 2.0, (0.5, 0.75), turn=side), **KEPT)
    assert source.describe()["spacing"] == (0.5, 0.75, 2.0)
    assert np.array_equal(first(source)[0], stack.transpose(1, 2, 0)[::-1, :, ::-1])


def test_nifti_and_dicom_of_one_head_are_alike(tmp_path: Path) -> None:
    stack = block(4, 6, 5)
    write_series(tmp_path / "dicom", stack)
    affine = np.diag([-0.75, -0.5, 2.0, 1.0])
    write_nifti(tmp_path / "nifti.nii", stack.transpose(2, 1, 0), affine)
    source = open_source(tmp_path, "volume", **KEPT)
    assert list(source.names) == ["dicom", "nifti.nii"]
    assert np.array_equal(first(source, 0), first(source, 1))


def test_bad_series_are_left_out_with_the_reason(tmp_path: Path) -> None:
    write_series(tmp_path / "good", block(4, 6, 5))
    write_series(tmp_path / "gap", block(5, 6, 5), shuffle=False)
    (tmp_path / "gap" / "002.dcm").unlink()
    write_series(tmp_path / "alone", block(1, 6, 5))
    write_series(tmp_path / "twice", block(2, 6, 5), shuffle=False)
    write_series(tmp_path / "twice", block(2, 6, 5), ending=".x.dcm", shuffle=False)
    write_series(tmp_path / "mixed", block(2, 6, 5), shuffle=False)
    write_series(tmp_path / "mixed", block(1, 7, 5), gap=-2.0, ending=".x.dcm", shuffle=False)
    write_series(tmp_path / "cut", block(2, 6, 5), shuffle=False)
    whole = (tmp_path / "cut" / "001.dcm").read_bytes()
    (tmp_path / "cut" / "001.dcm").write_bytes(whole[:-20])
    (tmp_path / "good" / "notes.dcm").write_text("nothing of the kind")
    source = open_source(tmp_path)
    assert list(source.names) == ["good"]
    reasons = dict(source.skipped)
    for name, why in (
        ("gap", "2 mm apart, and once 4"), ("alone", "single slice"), ("twice", "at one place"),
        ("mixed", "differ in size"), ("cut", "001.dcm"), ("good/notes.dcm", "no slice of a DICOM series"),
    ):  # fmt: skip
        assert why in reasons[name], reasons
    assert len(reasons) == 6
    assert source.describe()["skipped"] == 6


def test_two_series_in_one_folder_are_two_volumes(tmp_path: Path) -> None:
    write_series(tmp_path / "s", block(3, 6, 5, seed=1), series="1.2.3")
    write_series(tmp_path / "s", block(4, 6, 5, seed=2), series="1.2.4", ending=".b.dcm")
    assert list(open_source(tmp_path / "s").names) == ["s/1.2.3", "s/1.2.4"]


def test_folders_of_arrays(tmp_path: Path) -> None:
    one, two = block(6, 7, 8).astype(np.float64), block(6, 7, 8, seed=1)
    np.save(tmp_path / "one.npy", one)
    np.savez(tmp_path / "two.npz", x=two)
    assert recognised(tmp_path)[0] == "volume"
    source = open_source(tmp_path, **KEPT)
    assert source.describe()["spacing"] is None
    assert np.array_equal(first(source, 0)[0], one)
    assert np.array_equal(first(source, 1)[0], two)
    given = open_source(tmp_path, spacing=(2.0, 1.0, 1.0))
    assert given.describe()["stored"] == [6, 7, 8]
    np.savez(tmp_path / "three.npz", volume=block(6, 7, 4), spacing=np.array([2.0, 1.0, 2.0]))
    with pytest.raises(DataError, match=r"'one\.npy' .* does not say how far"):
        open_source(tmp_path)
    mixed = open_source(tmp_path, spacing=(2.0, 1.0, 1.0))
    assert mixed.describe()["stored"] == [6, 7, 8]


def test_unreadable_files_are_left_out_and_counted(tmp_path: Path) -> None:
    good = write_nifti(tmp_path / "good.nii", block(5, 6, 7), np.eye(4))
    whole = good.read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:-50])
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(whole)[:-50])
    (tmp_path / "empty.nii").touch()
    (tmp_path / "text.nii").write_text("hello " * 100)
    (tmp_path / "short.nii.gz").write_bytes(b"\x1f\x8b\x08")
    write_nifti(tmp_path / "flat.nii", block(5, 6, 1), np.eye(4))
    write_nifti(tmp_path / "thin.nii", block(5, 6, 7), np.diag([1.0, 0.0, 1.0, 1.0]))
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    np.savez(tmp_path / "pickled.npz", x=np.array([{}, None]))
    np.save(tmp_path / "words.npy", np.full((3, 3, 3), "a"))
    np.savez(tmp_path / "many.npz", a=block(3, 3, 3), b=block(3, 3, 3))
    np.savez(tmp_path / "gaps.npz", x=block(3, 3, 3), spacing=[1.0, -1.0, 1.0])
    (tmp_path / "cut.npz").write_bytes((tmp_path / "gaps.npz").read_bytes()[:-40])
    source = open_source(tmp_path, "volume")
    assert list(source.names) == ["good.nii"]
    reasons = dict(source.skipped)
    for name, why in (
        ("empty.nii", "empty"), ("flat.nii", "three axes"), ("thin.nii", "1 x 0 x 1 mm"), ("objects.npy", "objects"),
        ("pickled.npz", "objects"), ("words.npy", "real numbers"), ("many.npz", "a, b"), ("gaps.npz", "positive"),
    ):  # fmt: skip
        assert why in reasons[name], (name, reasons[name])
    assert set(reasons) == {p.name for p in tmp_path.iterdir()} - {"good.nii"}
    assert all(reasons.values())
    good.unlink()
    with pytest.raises(DataError, match="none of the 13 volumes"):
        open_source(tmp_path, "volume")


def test_values_that_are_not_finite_are_refused_by_file(tmp_path: Path) -> None:
    x = np.ones((6, 6, 6))
    x[1, 2, 3] = np.nan
    np.save(tmp_path / "a.npy", np.arange(216.0).reshape(6, 6, 6))
    np.save(tmp_path / "b.npy", x)
    with pytest.raises(DataError, match=r"'b\.npy'.* 1 voxels are not finite, the first is nan at \[1, 2, 3\]"):
        open_source(tmp_path)
    assert first(open_source(tmp_path, fill=7.0, **KEPT), 1)[0, 1, 2, 3] == 7
    with pytest.raises(DataError, match="volume 1: 1 voxels"):
        open_source(np.stack([np.ones_like(x), x]), "volume")


def test_arrays_and_their_files(tmp_path: Path) -> None:
    x, y = block(3, 2, 6, 7, 8), np.array([2, 0, 2])
    for data in (x, torch.from_numpy(x), list(x), (x, y)):
        source = open_source(data, "volume", **KEPT)
        assert np.array_equal(source.batch(torch.arange(3))["x"].numpy(), x)
    assert recognised(x)[0] == "volume"
    assert open_source((x, y), "volume").batch(torch.tensor([2]))["y"].tolist() == [2]
    np.savez(tmp_path / "x.npz", x=x[:, 0], y=y)
    found = open_source(tmp_path / "x.npz", "volume", **KEPT)
    assert found.labels is not None
    assert found.labels.tolist() == [2, 0, 2]
    assert np.array_equal(first(found)[0], x[0, 0])
    assert "volume" in recognised(np.zeros((3, 6, 7, 8)))
    for bad, why in (
        (np.zeros((3, 4)), r"not of shape \[3, 4\]"), (np.zeros((0, 4, 4, 4)), "not of shape"),
        (np.full((2, 3, 3, 3), "a"), "real numbers"), ([np.zeros((3, 3, 3)), np.zeros((3, 3, 4))], "different shapes"),
        (7, "cannot read volumes"), ([], "cannot read volumes"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=why):
            open_source(bad, "volume")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:-100])
    np.save(tmp_path / "objects.npy", np.array([{}, None]), allow_pickle=True)
    for name in ("cut.npz", "objects.npy"):
        with pytest.raises(DataError, match=rf"cannot read '.*{name}'"):
            open_source(tmp_path / name, "volume")


def test_channels_must_agree(tmp_path: Path) -> None:
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", block(6, 6, 6))
    np.save(tmp_path / "odd.npy", block(2, 6, 6, 6))
    with pytest.raises(DataError, match=r"'odd\.npy'.* has 2 channels, and most volumes have 1"):
        open_source(tmp_path, "volume")


def test_labels_and_groups_of_files(tmp_path: Path) -> None:
    for patient, kind in ((1, "ill"), (2, "well"), (3, "ill"), (4, "well")):
        write_nifti(tmp_path / kind / f"sub-{patient:02d}.nii", block(4, 4, 4, seed=patient), np.eye(4))
    source = open_source(tmp_path)
    assert source.classes == ["ill", "well"]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 1, 1]
    named = open_source(tmp_path, pattern="(?P<label>ill|well)/sub-(?P<group>[0-9]+)")
    assert named.groups is not None
    assert named.groups.tolist() == [0, 2, 1, 3]
    for i in range(3):  # a folder for each patient makes no classes
        write_nifti(tmp_path / "patients" / f"p{i}" / "scan.nii.gz", block(4, 4, 4), np.eye(4))
    assert open_source(tmp_path / "patients").labels is None
    paths = sorted(tmp_path.glob("*/*.nii"))
    assert recognised(paths) == ["volume"]
    listed = open_source((paths, np.array([1.5, 2.0, 0.0, 1.0])), "volume")
    assert listed.labels is not None
    assert listed.labels.tolist() == [1.5, 2.0, 0.0, 1.0]


def test_volumes_of_different_spacing_and_size_are_brought_together(tmp_path: Path) -> None:
    """A ball of 8 mm stays one of 8 mm, in the middle, whatever the grid that it was seen on."""

    def seen(sides: tuple[int, ...], gaps: tuple[float, ...]) -> np.ndarray:
        axes = [(np.arange(n) - (n - 1) / 2) * g for n, g in zip(sides, gaps, strict=True)]
        far = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0)
        # between voxels 2 mm apart, a line is off by at most 2^2 / 8 of the curvature along each axis, here 12
        return (1000 / (1 + np.exp((far - 8) / 2))).astype(np.int16)

    for i, (sides, gaps) in enumerate(
        (((40, 40, 40), (1, 1, 1)), ((20, 20, 40), (2, 2, 1)), ((60, 50, 40), (0.7, 0.8, 1)))
    ):
        write_nifti(tmp_path / f"{i}.nii", seen(sides, gaps), np.diag([*gaps, 1.0]))
    source = open_source(tmp_path, **KEPT)
    facts = source.describe()
    assert facts["spacing"] == (1.0, 1.0, 1.0)
    assert facts["stored"] == [40, 40, 40]
    wanted = seen((40, 40, 40), (1, 1, 1))
    inner = slice(4, -4)
    for i in range(3):
        assert np.abs(first(source, i)[0] - wanted)[inner, inner, inner].max() < 40
    spec = volume.spec_of(source)
    write_nifti(tmp_path / "new" / "n.nii", seen((28, 28, 20), (1.5, 1.5, 2)), np.diag([1.5, 1.5, 2, 1]))
    again = open_source(tmp_path / "new", **spec.reading())
    assert again.describe()["stored"] == [40, 40, 40]
    assert np.abs(first(again)[0] - wanted)[inner, inner, inner].max() < 80


def test_large_volumes_are_seen_coarser_and_sizes_are_of_the_median() -> None:
    assert common([(100, 512, 512)] * 3, [(2.5, 0.7, 0.7)] * 3, None, None) == ((2.5, 2.8, 2.8), (100, 128, 128))
    assert common([(30, 50, 70), (32, 52, 90), (90, 20, 80)], None, None, None) == (None, (32, 56, 80))
    assert common([(5, 6, 7)] * 2, [(1.0, 1.0, 1.0)] * 2, (0.5, 1.0, 2.0), None)[1] == (10, 6, 4)
    assert common([(5, 6, 7)], None, None, (2, 3, 4)) == (None, (2, 3, 4))


def test_resampling_keeps_lines_straight_and_means_where_they_are() -> None:
    line = np.arange(20, dtype=np.float32)
    x = np.broadcast_to(line[:, None, None], (20, 3, 3))[None]
    finer = resampled(x, (1.0, 1.0, 1.0), (0.5, 1.0, 1.0))[0, :, 0, 0]
    assert len(finer) == 40
    assert np.allclose(finer[2:-2], np.arange(40)[2:-2] / 2 - 0.25, atol=1e-5)
    coarser = resampled(x, (1.0, 1.0, 1.0), (4.0, 1.0, 1.0))[0, :, 0, 0]
    assert np.allclose(coarser[1:-1], [5.5, 9.5, 13.5], atol=1e-5)
    assert np.allclose(triangle(20, 1.0, 4.0).sum(1), 1)
    assert np.array_equal(resampled(x, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)), x)


def test_fitting_keeps_the_middle_and_continues_with_the_smallest_value() -> None:
    x = np.arange(1, 28, dtype=np.float32).reshape(1, 3, 3, 3)
    out = fitted(x, (5, 1, 3))
    assert np.array_equal(out[0, 1:4, 0], x[0, :, 1])
    assert (out[0, [0, 4]] == 1).all()


def test_every_channel_of_a_volume_is_standardised_and_clipped_before() -> None:
    x = np.random.default_rng(0).normal(300, 50, (2, 3, 6, 6, 6))
    x[0, 1] = 4.0  # does not change
    made = open_source(x, "volume").batch(torch.arange(2))["x"].double()
    assert torch.allclose(made.mean((2, 3, 4)), torch.zeros(2, 3, dtype=torch.float64), atol=1e-5)
    spread = made.var((2, 3, 4), correction=0)
    assert float(spread[0, 1]) == 0
    assert torch.allclose(spread[1], torch.ones(3, dtype=torch.float64), atol=1e-5)
    held = open_source(x, "volume", clip=(250.0, 350.0), **KEPT).batch(torch.arange(2))["x"]
    assert np.allclose(held.numpy(), np.clip(x, 250, 350), atol=1e-4)
    assert standardised(np.full((1, 2, 2, 2), 1e8, np.float32)).any() == False  # noqa: E712


def test_the_standard_directions_are_up_back_and_left() -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    same, axes = upright(x, np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]]))
    assert np.array_equal(same, x)
    assert axes == [0, 1, 2]
    down, axes = upright(x, np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]]))
    assert np.array_equal(down, x.transpose(0, 3, 2, 1)[:, ::-1])
    assert axes == [2, 1, 0]


def test_volumes_that_do_not_fit_in_memory_lie_in_a_file(tmp_path: Path) -> None:
    x = block(4, 6, 6, 6)
    source = open_source(x, "volume", memory=0, cache=tmp_path, **KEPT)
    assert np.array_equal(source.batch(torch.arange(4))["x"][:, 0].numpy(), x)
    assert list(tmp_path.iterdir()) == []  # gone when nobody reads it


def test_impossible_options_and_missing_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_nifti(tmp_path / "a.nii", block(4, 4, 4), np.eye(4))
    for options, why in (
        ({"spacing": -1.0}, "spacing"), ({"spacing": (1.0, 0.0, 1.0)}, "spacing"), ({"size": 0}, "size"),
        ({"clip": (2.0, 1.0)}, "clip"), ({"fill": float("nan")}, "fill"), ({"intensity": "odd"}, "intensity"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=why):
            open_source(path, **options)
    with pytest.raises(tacit.TacitError, match="pattern is for files"):
        open_source(block(2, 4, 4, 4), "volume", pattern="(?P<label>a)")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError, match="there are no volumes"):
        open_source(tmp_path / "other", "volume")
    series = write_series(tmp_path / "series", block(3, 4, 4))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for data in (path, series):
        with pytest.raises(MissingExtra, match=r"tacit\[volume\]"):
            open_source(data)
