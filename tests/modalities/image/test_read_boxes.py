"""Boxes from COCO's and VOC's files and from arrays, and what is wrong with files that are not like that."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tacit.errors import DataError, OptionError
from tacit.modalities.image.read_boxes import box_rows, places
from tacit.modalities.image.reading import open_source

COCO = {
    "images": [
        {"id": 7, "file_name": "b.png", "width": 40, "height": 20},
        {"id": 3, "file_name": "sub/a.png", "width": 20, "height": 20},
        {"id": 4, "file_name": "elsewhere.png", "width": 20, "height": 20},
    ],
    "categories": [{"id": 90, "name": "dog"}, {"id": 2, "name": "cat"}],
    "annotations": [
        {"image_id": 7, "category_id": 90, "bbox": [10, 5, 20, 10.0], "iscrowd": 0},
        {"image_id": 7, "category_id": 2, "bbox": [30, 10, 20, 20], "iscrowd": 1},
        {"image_id": 7, "category_id": 2, "bbox": [30, 10, 0, 5]},
    ],
}
VOC = """<annotation><size><width>40</width><height>20</height><depth>3</depth></size>
<object><name>dog</name><difficult>1</difficult><part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>
<bndbox><xmin>1</xmin><ymin>11</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
<object><name>cat</name><bndbox><xmin>21</xmin><ymin>1</ymin><xmax>40</xmax><ymax>10.0</ymax></bndbox></object>
</annotation>"""
EMPTY = "<annotation><size><width>20</width><height>20</height></size></annotation>"


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (40, 20), "red").save(folder / "b.png")
    Image.new("RGB", (20, 20), "blue").save(folder / "sub" / "a.png")
    return folder


def test_a_file_of_coco(photos, tmp_path) -> None:
    (photos / "boxes.json").write_text(json.dumps(COCO))
    source = open_source(photos, boxes="boxes.json", cache=tmp_path / "cache")
    assert source.names == ["b.png", "sub/a.png"]
    assert source.classes == ["cat", "dog"]
    found = places(source.labels.numpy())
    expected = np.full((2, 2, 6), -1.0)
    expected[0] = [[1, 0.25, 0.25, 0.75, 0.75, 0], [0, 0.75, 0.5, 1, 1, 1]]  # the second is cut off, and a crowd
    np.testing.assert_allclose(found, expected)
    batch = source.batch(next(iter(source.batches(2)))["index"])
    np.testing.assert_array_equal(batch["y"], source.labels)
    # by the file name alone, from a file beside the folder
    moved = COCO | {"images": [row | {"file_name": f"train/{row['file_name']}"} for row in COCO["images"]]}
    (tmp_path / "moved.json").write_text(json.dumps(moved))
    again = open_source(photos, boxes=tmp_path / "moved.json", cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.labels, source.labels)


def test_a_folder_of_voc(photos, tmp_path) -> None:
    folder = tmp_path / "Annotations"
    folder.mkdir()
    (folder / "b.xml").write_text(VOC)
    (folder / "a.xml").write_text(EMPTY)
    source = open_source(photos, boxes=str(folder), cache=tmp_path / "cache")
    assert source.classes == ["cat", "dog"]
    expected = np.full((2, 2, 6), -1.0)
    expected[0] = [[1, 0, 0.5, 0.5, 1, 1], [0, 0.5, 0, 1, 0.5, 0]]
    np.testing.assert_allclose(places(source.labels.numpy()), expected)


def test_arrays(tmp_path) -> None:
    boxes = np.full((4, 2, 5), -1.0)
    boxes[1, 0] = [2, 0, 6, 12, 24]
    rows = box_rows(boxes, (24, 48))
    assert rows.shape == (4, 12)
    np.testing.assert_allclose(places(rows)[1], [[2, 0, 0.25, 0.25, 1, 0], [-1] * 6])
    assert (np.delete(rows, 1, 0) == -1).all()
    np.testing.assert_array_equal(box_rows(np.insert(boxes, 5, [[0, 0]], 2), (24, 48))[1], rows[1])
    x = np.zeros((4, 3, 24, 48), np.uint8)
    np.savez(tmp_path / "made.npz", x=x, boxes=boxes)
    np.testing.assert_array_equal(open_source(tmp_path / "made.npz").labels, rows)
    np.savez(tmp_path / "both.npz", x=x, boxes=boxes, y=np.arange(4))
    np.testing.assert_array_equal(open_source(tmp_path / "both.npz").labels, np.arange(4))
    np.savez(tmp_path / "other.npz", x=x, boxes=np.zeros(4))
    assert open_source(tmp_path / "other.npz").labels is None


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (np.zeros((2, 4)), r"\[N, K, 5\] or \[N, K, 6\]"),
        (np.array([[[0.5, 0, 0, 1, 1]]]), "image 0, box 0 is .*whole number"),
        (np.array([[[-1] * 5, [0, 0, 0, 9, 1]]]), "image 0, box 1 is .*from 0 to 1"),
        (np.array([[[0, 0, np.nan, 1, 1]]]), "from 0 to 1"),
        (np.array([[[0, 3, 0, 2, 1]]]), "x0 must be less"),
        (np.array([[[0, 0, 0, 1, 1, 2]]]), "difficult must be 1 or 0"),
    ],
)
def test_arrays_that_are_no_boxes(boxes, message) -> None:
    with pytest.raises(DataError, match=message):
        box_rows(boxes, 4)


def test_rows_that_are_no_boxes() -> None:
    with pytest.raises(DataError, match=r"\[N, K \* 6\].*not \[2, 5\]"):
        places(np.zeros((2, 5)))
    with pytest.raises(DataError, match="training labels: image 1, box 0"):
        places(np.array([[0, 0, 0, 1, 1, 0], [0, 5, 5, 9, 9, 0]]), "training labels")


def altered(part, place, **values):
    """COCO's example with other values in one entry; None takes a field away."""
    rows = [dict(row) for row in COCO[part]]
    rows[place] = {name: value for name, value in (rows[place] | values).items() if value is not None}
    return COCO | {part: rows}


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        ([], "no list 'images'"),
        (COCO | {"annotations": {}}, "no list 'annotations'"),
        (COCO | {"images": [3]}, r"images\[0\] must be an object"),
        (altered("images", 1, width=None), r"images\[1\] has no width"),
        (altered("images", 1, height=-2), r"images\[1\]: width and height must be above 0"),
        (altered("images", 1, width=1e400), "above 0"),
        (altered("images", 1, id=7), r"images\[1\]: there is another image of id 7"),
        (altered("images", 0, file_name=5), "file_name must be text, not 5"),
        (altered("images", 0, width=20), "'b.png' is 20 wide and 20 high, which it is not"),
        (altered("images", 0, file_name="c.png"), "nothing of 1 of 2 images, the first: 'b.png'"),
        (altered("categories", 0, id="90"), r"categories\[0\]: id must be a whole number"),
        (altered("annotations", 2, image_id=99), r"annotations\[2\]: there is no entry of image_id 99"),
        (altered("annotations", 0, category_id=1), r"annotations\[0\]: there is no entry of category_id 1"),
        (altered("annotations", 1, bbox=[1, 2, 3]), r"annotations\[1\]: bbox must be four numbers"),
        (altered("annotations", 1, bbox=[1, 2, 3, "4"]), r"annotations\[1\]: bbox must be four numbers"),
        (altered("annotations", 1, bbox=[1, 2, 3, 10**400]), r"annotations\[1\]: bbox must be four numbers"),
        (altered("annotations", 1, bbox=[1, 2, 3, -1]), r"annotations\[1\]: width and height of bbox"),
    ],
)
def test_files_that_are_not_as_coco_s(photos, tmp_path, whole, message) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(whole))
    with pytest.raises(DataError, match=message) as raised:
        open_source(photos, boxes=str(tmp_path / "bad.json"), cache=tmp_path / "cache")
    assert "bad.json" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<annotation>", "is no XML"),
        ("<html></html>", "begins with <html>"),
        (EMPTY.replace("20", "wide"), "size/width must be a number, not 'wide'"),
        (EMPTY.replace("20", "0"), "above 0"),
        (VOC.replace("<name>cat</name>", ""), "object 1 has no name"),
        (VOC.replace("<xmin>21</xmin>", ""), "object 1: bndbox/xmin must be a number, not 'None'"),
        (VOC.replace("<xmax>40</xmax>", "<xmax>4</xmax>"), "object 1: xmin must not be above xmax"),
        (VOC.replace("<difficult>1", "<difficult>yes"), "object 0: difficult must be 1 or 0"),
    ],
)
def test_files_that_are_not_as_voc_s(photos, tmp_path, text, message) -> None:
    (tmp_path / "a.xml").write_text(EMPTY)
    (tmp_path / "b.xml").write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        open_source(photos, boxes=str(tmp_path), cache=tmp_path / "cache")
    assert "b.xml" in str(raised.value)


def test_places_that_hold_no_annotations(photos, tmp_path) -> None:
    (tmp_path / "none").mkdir()
    for name, message in (("none", "no .xml files"), ("gone.json", "cannot read"), ("b.png", "is no annotation")):
        with pytest.raises(DataError, match=message):
            open_source(photos, boxes=str(tmp_path / name), cache=tmp_path / "cache")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(DataError, match=r"text.json' is no JSON"):
        open_source(photos, boxes=str(tmp_path / "text.json"), cache=tmp_path / "cache")
    with pytest.raises(OptionError, match="of the images of a folder"):
        open_source(np.zeros((4, 3, 24, 24), np.uint8), boxes="boxes.json")
