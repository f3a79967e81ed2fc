"""Which kind data are taken for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.data import Source
from tacit.errors import DataError
from tacit.modalities import modality, recognised
from tacit.modalities.looking import Claim, ending_of, endings_in, shape_of
from tacit.registry import modality_names


class Ending:
    """A made-up kind."""

    def __init__(self, *endings: str, claim: Claim = Claim.NO) -> None:
        self.ENDINGS, self.claim = endings, claim

    def recognises(self, data: object) -> Claim:
        return self.claim


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> dict[str, Ending]:
    made = {"sound": Ending(".wav"), "scan": Ending(".nii", ".nii.gz"), "other": Ending()}
    monkeypatch.setattr("tacit.modalities.modality_names", lambda: tuple(made))
    monkeypatch.setattr("tacit.modalities.modality", made.__getitem__)
    return made


def test_a_file_belongs_to_the_kind_that_has_its_ending(kinds: dict[str, Ending], tmp_path: Path) -> None:
    for name, kind in (("a.WAV", "sound"), ("b.nii.gz", "scan"), ("c.nii", "scan")):
        (tmp_path / name).touch()
        assert recognised(tmp_path / name) == [kind]
    with pytest.raises(DataError, match="there is no file or folder"):
        recognised(tmp_path / "d.wav")


def test_a_folder_belongs_to_what_most_of_its_files_are(kinds: dict[str, Ending], tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav", "x/3.nii.gz", "notes.txt", ".hidden.nii", ".cache/4.nii", ".cache/5.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert recognised(tmp_path) == ["sound"]
    (tmp_path / "6.nii").touch()
    with pytest.raises(DataError, match=r"--modality sound\|scan"):
        recognised(tmp_path)
    assert endings_in(tmp_path)[".nii.gz"] == 1
    assert ending_of(tmp_path / "a.nii.gz", (".gz", ".nii.gz")) == ".nii.gz"


def test_a_folder_belongs_to_the_kind_that_knows_its_layout(kinds: dict[str, Ending], tmp_path: Path) -> None:
    for name in ("1.wav", "2.wav"):
        (tmp_path / name).touch()
    kinds["other"].claim = Claim.SURE
    assert recognised(tmp_path) == ["sound"]
    kinds["other"].is_layout = lambda folder: folder == tmp_path  # type: ignore[attr-defined]
    assert recognised(tmp_path) == ["other"]
    kinds["scan"].is_layout = lambda folder: True  # type: ignore[attr-defined]
    assert recognised(tmp_path) == ["sound"]


def test_the_surest_kind_is_taken_and_the_others_are_named(kinds: dict[str, Ending]) -> None:
    kinds["other"].claim = Claim.PERHAPS
    assert recognised(3) == ["other"]
    kinds["scan"].claim = Claim.SURE
    assert recognised(3) == ["scan", "other"]
    kinds["sound"].claim = Claim.SURE
    with pytest.raises(DataError, match=r"--modality sound\|scan"):
        recognised(3)
    for kind in kinds.values():
        kind.claim = Claim.NO
    with pytest.raises(DataError, match="cannot tell what kind of data int is"):
        recognised(3)


def test_shapes_are_read_from_headers_alone(tmp_path: Path) -> None:
    x = np.zeros((3, 4, 5), np.float32)
    np.save(tmp_path / "x.npy", x)
    np.savez_compressed(tmp_path / "x.npz", y=np.zeros(3), data=x)
    (tmp_path / "cut.npz").write_bytes(b"PK")
    np.save(tmp_path / "objects.npy", np.array([None, {}]), allow_pickle=True)
    for data in (x, (x, np.zeros(3)), tmp_path / "x.npy", str(tmp_path / "x.npz")):
        assert shape_of(data) == (3, 4, 5)
    for data in (tmp_path / "cut.npz", tmp_path / "objects.npy", [x], (x, x[:2]), "nothing.npy"):
        assert shape_of(data) is None


def test_array_files_are_told_by_their_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 8, 8), np.uint8))
    np.save(tmp_path / "flat.npy", np.zeros((4, 8), np.uint8))
    assert recognised(tmp_path / "images.npy")[0] == "image"
    assert recognised(tmp_path / "flat.npy")[0] == "table"
    np.save(tmp_path / "line.npy", np.zeros(4))
    with pytest.raises(DataError, match="cannot tell"):
        recognised(tmp_path / "line.npy")


def test_other_readings_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (8, 12, 12), dtype=np.uint8)
    tacit.pretrain(x, steps=1, batch_size=4, out=tmp_path / "run")
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("8 images, 1 channels, seen at 12x12 (--modality ")
    assert "series" in first


def test_no_two_kinds_have_one_ending() -> None:
    endings = [ending for name in modality_names() for ending in modality(name).ENDINGS]
    assert len(endings) == len(set(endings))


def test_telling_kinds_apart_imports_nothing_optional() -> None:
    optional = "av nibabel pydicom soundfile torch_geometric tokenizers transformers pandas datasets timm sklearn"
    code = (
        "import sys, numpy as np; from tacit.modalities import recognised;"
        "recognised(np.zeros((2, 3, 8, 8)));"
        f"print(sorted(set('{optional}'.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_source_is_taken_as_it_is() -> None:
    from tacit.modalities import open_source

    source = open_source(np.zeros((4, 1, 8)), "series")
    assert isinstance(source, Source)
    assert open_source(source) is source
