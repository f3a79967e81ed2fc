"""Boxes around things as labels of images: from COCO's JSON, from PASCAL VOC's XML, and from arrays.

As labels they are rows of numbers ``[N, K * 6]``: K places an image, each with class, x0, y0, x1, y1 and whether the
box is difficult (1 or 0). Corners are shares of the image's width and height, so that they hold at any size; empty
places are six times -1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tacit.errors import DataError

WIDTH = 6
"""Numbers of a box."""
SLACK = 1e-3
"""Share of an image by which a corner may lie outside of it."""
SHAPE = 0.02
"""By how much a file's width over height may differ from the image's own."""


@dataclass(frozen=True)
class Annotated:
    """What a file says of one image: width and height in pixels, and its boxes ``[K, 6]`` in shares of these."""

    size: tuple[float, float]
    boxes: np.ndarray


def box_rows(boxes: Any, size: int | tuple[int, int], where: str = "boxes") -> np.ndarray:
    """Boxes in pixels as labels of images (:mod:`tacit.modalities.image.read_boxes`).

    Args:
        boxes: ``[N, K, 5]``: class, x0, y0, x1, y1, or ``[N, K, 6]`` with 1 for a difficult box and else 0. The left
            and upper edge of the image are 0. Empty places have class -1.
        size: of the images, height and width in pixels, or the side of squares.
        where: what an error calls them.

    Returns:
        float32 ``[N, K * 6]``.

    Raises:
        DataError: for another shape, or a box that is none.
    """
    array = np.asarray(boxes)
    if array.ndim != 3 or array.shape[2] not in (WIDTH - 1, WIDTH) or array.dtype.kind not in "biuf":
        raise DataError(f"{where} must be numbers [N, K, 5] or [N, K, 6], not {array.dtype} {list(array.shape)}")
    height, width = (size, size) if isinstance(size, int) else size
    found = np.zeros((*array.shape[:2], WIDTH))
    found[..., : array.shape[2]] = array
    found[..., 1:5] /= (width, height, width, height)
    found[array[..., 0] < 0] = -1
    rows = found.reshape(len(array), -1).astype(np.float32)
    places(rows, where)
    return rows


def places(rows: Any, where: str = "labels") -> np.ndarray:
    """Labels ``[N, K * 6]`` as boxes ``[N, K, 6]``.

    Raises:
        DataError: for rows of another width, or numbers that are no boxes; it names the image.
    """
    array = np.asarray(rows, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] % WIDTH:
        raise DataError(
            f"{where} of boxes must be [N, K * 6]: class, x0, y0, x1, y1 and 1 if it is difficult, K times, not "
            f"{list(array.shape)}"
        )
    found = array.reshape(len(array), -1, WIDTH)
    label, corners, hard = found[..., 0], found[..., 1:5], found[..., 5]
    real = ~(label < 0)
    faults = {
        "a class must be a whole number from 0": (label != np.round(label)) & real,
        "corners must be shares of width and height, from 0 to 1 (box_rows makes them of pixels)": real
        & ~((corners >= -SLACK) & (corners <= 1 + SLACK)).all(-1),
        "x0 must be less than x1, and y0 less than y1": real & ~(corners[..., :2] < corners[..., 2:]).all(-1),
        "difficult must be 1 or 0": real & ~np.isin(hard, (0, 1)),
    }
    for fault, wrong in faults.items():
        if wrong.any():
            image, place = np.argwhere(wrong)[0]
            values = ", ".join(f"{value:g}" for value in found[image, place])
            raise DataError(f"{where}: image {image}, box {place} is ({values}); {fault}")
    return found


def boxes_of(
    path: str | os.PathLike[str], names: Sequence[str], aspect: np.ndarray, folder: Path | None = None
) -> tuple[np.ndarray, list[str]]:
    """Boxes of images from a file of annotations, float32 ``[N, K * 6]``, and the names of their classes.

    Args:
        path: a .json file as COCO has them, or a folder of .xml files as PASCAL VOC has them, one an image. Images that
            are not among the names are of use for their classes alone.
        names: of the images, paths relative to their folder. Those of a .json file have the same path, or one that ends
            in the same file name if no other does; an .xml file has the name of its image.
        aspect: width over height of the images, ``[N]``.
        folder: where the path is looked for first.

    Raises:
        DataError: for a file that is missing or malformed, or that says nothing of an image; it names file and entry.
    """
    path = Path(os.path.expanduser(path)) if folder is None or not (folder / path).exists() else folder / path
    if path.is_dir():
        known, classes = read_voc(path)
        found = [known.get(PurePosixPath(name).stem) for name in names]
    elif path.suffix.lower() == ".json":
        known, classes = read_coco(path)
        found = _looked_up(known, names)
    else:
        raise DataError(f"'{path}' is no annotation: give a .json file as COCO has them, or VOC's folder of .xml files")
    missing = [name for name, image in zip(names, found, strict=True) if image is None]
    if missing:
        raise DataError(f"'{path}' says nothing of {len(missing)} of {len(names)} images, the first: '{missing[0]}'")
    images = [image for image in found if image is not None]
    for name, image, seen in zip(names, images, aspect.tolist(), strict=True):
        if abs(image.size[0] / image.size[1] / seen - 1) > SHAPE:
            width, height = (f"{side:g}" for side in image.size)
            raise DataError(f"'{path}' says that '{name}' is {width} wide and {height} high, which it is not")
    most = max(1, *(len(image.boxes) for image in known.values()))
    rows = np.full((len(images), most, WIDTH), -1, np.float32)
    for row, image in zip(rows, images, strict=True):
        row[: len(image.boxes)] = image.boxes
    return rows.reshape(len(rows), -1), classes


def read_coco(path: Path) -> tuple[dict[str, Annotated], list[str]]:
    """Images by file name, and the names of the classes, in order of their ids.

    Boxes around crowds count as difficult. What lies outside of an image is cut off, and what has no area then, as a
    few boxes of COCO itself, is left out.

    Raises:
        DataError: for a file that is not as COCO's are; it names the entry.
    """
    try:
        whole = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"'{path}' is no JSON: {error}") from error
    parts = {name: _entries(whole, name, path) for name in ("images", "annotations", "categories")}
    ids = {_field(row, "id", int, where): _field(row, "name", str, where) for where, row in parts["categories"]}
    codes = {number: code for code, number in enumerate(sorted(ids))}
    images: dict[int, tuple[str, float, float]] = {}
    for where, row in parts["images"]:
        sides = [_finite(_field(row, side, (int, float), where)) for side in ("width", "height")]
        if not min(sides) > 0:
            raise DataError(f"{where}: width and height must be above 0")
        number = _field(row, "id", int, where)
        if number in images:
            raise DataError(f"{where}: there is another image of id {number}")
        images[number] = (_field(row, "file_name", str, where), sides[0], sides[1])
    boxes: dict[int, list[list[float]]] = {number: [] for number in images}
    for where, row in parts["annotations"]:
        image, label = _field(row, "image_id", int, where), _field(row, "category_id", int, where)
        for name, value, known in (("image_id", image, images), ("category_id", label, codes)):
            if value not in known:
                raise DataError(f"{where}: there is no entry of {name} {value}")
        box = [_finite(value) for value in _field(row, "bbox", list, where)]
        if len(box) != 4 or np.isnan(box).any():
            raise DataError(f"{where}: bbox must be four numbers, x, y, width and height, not {row['bbox']}")
        if min(box[2:]) < 0:
            raise DataError(f"{where}: width and height of bbox must not be below 0, as in {box}")
        hard = bool(row.get("iscrowd", 0))
        corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        _add(boxes[image], codes[label], corners, images[image][1:], hard)
    found = {
        name: Annotated((width, height), _stacked(boxes[number])) for number, (name, width, height) in images.items()
    }
    return found, [ids[number] for number in sorted(ids)]


def read_voc(folder: Path) -> tuple[dict[str, Annotated], list[str]]:
    """Images by the name of their .xml file without its ending, and the names of the classes in alphabetical order.

    VOC counts pixels from 1 and the last one belongs to the box, which becomes an edge at the left of the first pixel
    and one at the right of the last. What has no area within the image is left out.

    Raises:
        DataError: for a folder without .xml files, or one that is not as VOC's are; it names file and object.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".xml")
    if not paths:
        raise DataError(f"the folder '{folder}' has no .xml files in it; annotations as VOC has them are one an image")
    read = {path.stem: _voc_file(path) for path in paths}
    classes = sorted({name for _, things in read.values() for name, *_ in things})
    codes = {name: code for code, name in enumerate(classes)}
    found = {}
    for stem, (size, things) in read.items():
        boxes: list[list[float]] = []
        for name, corners, hard in things:
            _add(boxes, codes[name], corners, size, hard)
        found[stem] = Annotated(size, _stacked(boxes))
    return found, classes


Thing = tuple[str, tuple[float, float, float, float], bool]


def _voc_file(path: Path) -> tuple[tuple[float, float], list[Thing]]:
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise DataError(f"cannot read '{path}': {error.strerror}") from error
    except ElementTree.ParseError as error:
        raise DataError(f"'{path}' is no XML: {error}") from error
    if root.tag != "annotation":
        raise DataError(f"'{path}' is not as VOC's files are: it begins with <{root.tag}> in place of <annotation>")
    width, height = (_number(root, f"size/{side}", str(path)) for side in ("width", "height"))
    if min(width, height) <= 0:
        raise DataError(f"'{path}': width and height must be above 0")
    things: list[Thing] = []
    for place, thing in enumerate(root.findall("object")):
        where = f"'{path}', object {place}"
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where} has no name")
        x0, y0, x1, y1 = (_number(thing, f"bndbox/{side}", where) for side in ("xmin", "ymin", "xmax", "ymax"))
        if x0 > x1 or y0 > y1:
            raise DataError(f"{where}: xmin must not be above xmax, nor ymin above ymax")
        hard = (thing.findtext("difficult") or "0").strip()
        if hard not in ("0", "1"):
            raise DataError(f"{where}: difficult must be 1 or 0, not '{hard}'")
        things.append((name, (x0 - 1, y0 - 1, x1, y1), hard == "1"))
    return (width, height), things


def _number(element: ElementTree.Element, field: str, where: str) -> float:
    text = element.findtext(field)
    try:
        value = float(text or "")
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{where}: {field} must be a number, not '{text}'")
    return value


def _finite(value: Any) -> float:
    """A number of a JSON file as a float; NaN for anything else, and for what has no end."""
    if type(value) not in (int, float) or not abs(value) < 1e30:
        return float("nan")
    return float(value)


def _entries(whole: Any, name: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Entries of a part of COCO's file, each with what an error calls it."""
    rows = whole.get(name) if isinstance(whole, dict) else None
    if not isinstance(rows, list):
        raise DataError(f"'{path}' is not as COCO's files are: it has no list '{name}'")
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"'{path}', {name}[{place}] must be an object with names and values")
    return [(f"'{path}', {name}[{place}]", row) for place, row in enumerate(rows)]


def _field(row: Mapping[str, Any], name: str, kind: Any, where: str) -> Any:
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        words = {int: "a whole number", str: "text", list: "a list"}
        wanted = words.get(kind, "a number")
        raise DataError(f"{where}: {name} must be {wanted}, not {value!r}" if name in row else f"{where} has no {name}")
    return value


def _add(boxes: list[list[float]], code: int, corners: Sequence[float], size: tuple[float, float], hard: bool) -> None:
    """A box in pixels, cut to the image and in shares of it, unless nothing of it is left."""
    x0, y0, x1, y1 = (min(max(value / size[axis % 2], 0.0), 1.0) for axis, value in enumerate(corners))
    if np.float32(x0) < np.float32(x1) and np.float32(y0) < np.float32(y1):
        boxes.append([code, x0, y0, x1, y1, float(hard)])


def _stacked(boxes: list[list[float]]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, WIDTH)


def _looked_up(known: Mapping[str, Annotated], names: Sequence[str]) -> list[Annotated | None]:
    """The entry of each image: of its whole path, or else the only one of its file name."""
    last: dict[str, list[Annotated]] = {}
    for name, image in known.items():
        last.setdefault(PurePosixPath(name).name, []).append(image)
    found: list[Annotated | None] = []
    for name in names:
        same = last.get(PurePosixPath(name).name, [])
        found.append(known.get(name, same[0] if len(same) == 1 else None))
    return found


__all__ = ["WIDTH", "box_rows", "boxes_of", "places", "read_coco", "read_voc"]
