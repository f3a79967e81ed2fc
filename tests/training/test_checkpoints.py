from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tacit.errors import RunError
from tacit.tables import Table, read_table
from tacit.training import checkpoints


def test_the_newest_is_read_back_exactly_and_old_ones_are_deleted(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoints.save(tmp_path, step, {"step": step, "weights": {"a": torch.full((3,), float(step))}})
    assert len(list(tmp_path.glob("*.pt"))) == 2
    state = checkpoints.latest(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert torch.equal(state["weights"]["a"], torch.full((3,), 3.0))
    assert checkpoints.latest(tmp_path / "none") is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    checkpoints.save(tmp_path, 1, {"step": 1})
    last = checkpoints.save(tmp_path, 2, {"step": 2})
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes({"truncated": content[:100], "flipped": content, "emptied": b""}[damage])
    with pytest.warns(UserWarning, match=r"step-000000002.*damaged.*falling back"):
        state = checkpoints.latest(tmp_path)
    assert state == {"step": 1}


def test_nothing_intact_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, 1, {"step": 1}).write_bytes(b"no")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RunError, match=str(tmp_path)):
        checkpoints.latest(tmp_path)


def test_a_checkpoint_that_holds_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"f": print}, path)
    with pytest.raises(RunError, match="cannot be read"):
        checkpoints.read(path)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    from tacit.files import write

    path = tmp_path / "x"
    write(path, lambda file: file.write(b"old"))

    def broken(file: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write(path, broken)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_is_cut_back_to_the_step_that_resumes(tmp_path: Path) -> None:
    table = Table(tmp_path / "m.csv")
    for step in (10, 20, 30):
        table.add({"step": step, "loss": 1 / step})
    with open(tmp_path / "m.csv", "a") as file:
        file.write("40,0.0")
    table = Table(tmp_path / "m.csv", resume_at=20)
    table.add({"step": 30, "loss": 0.5})
    assert read_table(tmp_path / "m.csv") == {"step": [10, 20, 30], "loss": [0.1, 0.05, 0.5]}
    assert read_table(tmp_path / "none.csv") == {}
