"""Reading images: folders, array files, arrays, tensors, lists and data sets become one kind of source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from tacit.data import Batch, Source
from tacit.errors import DataError, OptionError
from tacit.modalities.caches import cache_folder
from tacit.modalities.image.read_arrays import is_labels, load_array, store_array
from tacit.modalities.image.read_boxes import box_rows, boxes_of
from tacit.modalities.image.read_decode import Decoded, decode
from tacit.modalities.image.read_folder import SUFFIXES, Listing, class_folders, list_files, list_folder
from tacit.modalities.image.read_items import Files, Objects
from tacit.modalities.image.read_pixels import LAYOUTS
from tacit.modalities.image.stores import Store
from tacit.modalities.looking import ARRAYS, Claim, shape_of
from tacit.sources import as_labels


class ImageSource(Source):
    """Images of one stored shape, read in batches.

    A batch has ``x`` (contiguous ``[B, C, H, W]``: uint8, or float32 where the data are floats or 16 bits
    deep, the latter in [0, 1]), ``index``, ``aspect`` (float32 ``[B]``: true width / height, as an image may
    be squashed to a square), and ``y`` and ``group`` where labels and groups are known.

    Args:
        store: the pixels.
        facts: where they are from: ``kind`` and, if any, ``path``.
        aspect: float32 ``[N]``.
    """

    modality = "image"

    def __init__(
        self,
        store: Store,
        facts: dict[str, Any],
        names: Sequence[str],
        aspect: Tensor,
        labels: Tensor | None = None,
        classes: list[str] | None = None,
        skipped: Sequence[tuple[str, str]] = (),
        named_by: str = "index",
    ) -> None:
        self.store, self.facts, self.aspect, self.named_by = store, facts, aspect, named_by
        self.names, self.labels, self.classes, self.skipped = names, labels, classes, skipped

    def batch(self, index: Tensor) -> Batch:
        batch = {"x": self.store.read(index), "index": index, "aspect": self.aspect[index]}
        if self.labels is not None:
            batch["y"] = self.labels[index]
        if self.groups is not None:
            batch["group"] = self.groups[index]
        return batch

    def describe(self) -> dict[str, Any]:
        channels, height, width = self.store.shape
        return {
            **self.facts,
            "count": len(self),
            "channels": channels,
            "stored": [height, width],
            "dtype": self.store.dtype,
            "store": "mapped" if self.store.mapped else "memory",
            "skipped": len(self.skipped),
            "classes": self.classes,
        }


def recognises(data: Any) -> Claim:
    """Whether ``data`` looks like images: told from types, shapes and endings, without reading any pixels.

    A path that does not exist and an array file that cannot be read may be theirs, so that opening it says what is
    wrong.
    """
    if isinstance(data, (str, os.PathLike)):
        path = Path(os.path.expanduser(data))
        if not os.path.isfile(path):
            return Claim.PERHAPS
        shape = shape_of(path)
        if shape is None:
            return Claim.PERHAPS if path.suffix.lower() in (*ARRAYS, *SUFFIXES) else Claim.NO
        return Claim.SURE if len(shape) in (3, 4) else Claim.NO
    return Claim.SURE if _holds_images(data) else Claim.NO


def _holds_images(data: Any) -> bool:
    if isinstance(data, (np.ndarray, Tensor)):
        return data.ndim in (3, 4)
    if _labelled(data):
        return True
    if isinstance(data, tuple) and len(shape_of(data) or ()) == 2 and data[1].ndim == 1:
        return False  # rows of a table with a label each
    if _is_huggingface(data):
        return _image_columns(data) is not None
    if isinstance(data, Dataset):
        return True
    if isinstance(data, (list, tuple)) and data:
        first = data[0][0] if isinstance(data[0], (list, tuple)) and data[0] else data[0]
        if isinstance(first, (np.ndarray, Tensor)):
            return first.ndim in (2, 3)
        if isinstance(first, (str, os.PathLike)):
            return Path(first).suffix.lower() in SUFFIXES
        return type(first).__module__.startswith("PIL.")
    return False


def open_source(
    data: Any,
    *,
    cache: str | os.PathLike[str] | None = None,
    memory: int | None = None,
    workers: int | None = None,
    image_size: int | None = None,
    layout: str | None = None,
    progress: bool = False,
    once: bool = False,
    boxes: str | os.PathLike[str] | None = None,
) -> ImageSource:
    """Open images; files and data sets are decoded once, arrays are used where they lie.

    Args:
        data: a folder of image files at any depth (class folders become labels); an .npy or .npz file; an
            array or tensor ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]``; a tuple of one of these and
            its labels, integers ``[N]``; a list of arrays, tensors, Pillow images or paths; a torch
            ``Dataset``; a Hugging Face data set with an image column.
        cache: folder for decoded pixels that do not fit in memory; by default ``$TACIT_CACHE`` or
            ``~/.cache/tacit``.
        memory: the most bytes of pixels to hold in memory; 40% of what is available by default.
        workers: threads that decode; by default one a core, but a single one for data sets and small images.
        image_size: side in pixels that will be trained at; images of different sizes are stored 1.15 times as
            large.
        layout: ``NCHW`` or ``NHWC``, where the shape of an array does not tell.
        progress: show a progress bar when standard error is a terminal.
        once: the images will be read a single time, so that an .npy file is mapped however small it is.
        boxes: boxes around the things in a folder's images, which become their labels: a .json file as COCO has them,
            or a folder of .xml files as PASCAL VOC has them; looked for in the folder of images first.

    Raises:
        DataError: if there is nothing that can be read; it names the file or value and what would be right.
        OptionError: if an option has an impossible value.
    """
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"layout must be NCHW or NHWC, not '{layout}'")
    for name, value in (("image_size", image_size), ("workers", workers), ("memory", memory)):
        if value is not None and value < (0 if name == "memory" else 1):
            raise OptionError(f"{name} must be positive, not {value}")
    options = {
        "cache": cache_folder(cache),
        "memory": memory,
        "workers": workers,
        "image_size": image_size,
        "progress": progress,
    }
    if boxes is not None and not (isinstance(data, (str, os.PathLike)) and os.path.isdir(os.path.expanduser(data))):
        raise OptionError(f"boxes={boxes} are of the images of a folder; an .npz file has an array 'boxes'")
    if isinstance(data, (str, os.PathLike)):
        path = Path(os.path.expanduser(data)).absolute()
        if path.suffix.lower() in ARRAYS and not os.path.isdir(path):
            array, labels, groups = load_array(path, 0 if once else memory)
            return _arrays(array, labels, f"'{path}'", layout, {"kind": "array", "path": str(path)}, groups)
        if os.path.isfile(path):
            what = "one image" if path.suffix.lower() in SUFFIXES else "a file"
            film = ", or say --modality video if it moves" if path.suffix.lower() == ".gif" else ""
            raise DataError(f"'{path}' is {what}; give the folder of images, an .npy or an .npz file{film}")
        listing = list_folder(path)
        found = _files(listing, {"kind": "folder", "path": str(path)}, None if boxes else class_folders, options)
        if boxes is not None:
            rows, found.classes = boxes_of(boxes, found.names, found.aspect.numpy(), path)
            found.labels = torch.from_numpy(rows)
        return found
    if isinstance(data, (np.ndarray, Tensor)):
        return _arrays(data, None, "the array", layout, {"kind": "array"})
    if _labelled(data):
        return _arrays(data[0], _labels(*data), "the array", layout, {"kind": "array"})
    if isinstance(data, (list, tuple)):
        return _list(data, layout, options)
    if _is_huggingface(data) or isinstance(data, Dataset):
        return _dataset(data, layout, options)
    raise DataError(
        f"cannot read images from {type(data).__name__}; give a folder, an .npy or .npz file, an array, "
        "a tensor, a list, a torch Dataset or a Hugging Face data set"
    )


def _arrays(
    array: np.ndarray | Tensor,
    labels: np.ndarray | None,
    where: str,
    layout: str | None,
    facts: dict[str, Any],
    groups: np.ndarray | None = None,
) -> ImageSource:
    store = store_array(array, where, layout)
    _, height, width = store.shape
    count = len(store.pixels)
    if labels is not None and labels.ndim == 3:
        labels = box_rows(labels, (height, width), f"boxes of {where}")
    y, classes = (None, None) if labels is None else as_labels(labels, count, where)
    found = ImageSource(store, facts, [str(i) for i in range(count)], torch.full((count,), width / height), y, classes)
    if groups is not None:
        found.groups = as_labels(groups, count, f"groups of {where}")[0]
    return found


def _files(listing: Listing, facts: dict[str, Any], classify: Any, options: dict[str, Any]) -> ImageSource:
    if not listing.paths:
        name, reason = listing.refused[0]
        count = len(listing.refused)
        raise DataError(f"none of the {count} images can be read; the first, '{name}': {reason}")
    decoded = decode(Files(listing.paths, listing.names), key=listing.key(options["image_size"]), **options)
    names = [listing.names[i] for i in decoded.positions]
    skipped = [(listing.names[i], reason) for i, reason in decoded.failures.items()]
    found = classify(names) if classify else None
    labels, classes = (torch.tensor(found[0]), found[1]) if found else (None, None)
    return ImageSource(
        decoded.store,
        facts,
        names,
        torch.from_numpy(decoded.aspect),
        labels,
        classes,
        sorted([*listing.refused, *skipped]),
        named_by="path",
    )


def _list(data: Sequence[Any], layout: str | None, options: dict[str, Any]) -> ImageSource:
    if not data:
        raise DataError("the list has no images in it")
    if all(isinstance(item, (str, os.PathLike)) for item in data):
        return _files(list_files(data), {"kind": "dataset"}, None, options)
    if all(isinstance(item, (np.ndarray, Tensor)) for item in data) and len({(x.shape, x.dtype) for x in data}) == 1:
        if isinstance(data[0], Tensor):
            array: np.ndarray | Tensor = torch.stack([item.detach().cpu() for item in data])
        else:
            array = np.stack(data)
        return _arrays(array, None, "the list of arrays", layout, {"kind": "array"})
    return _objects(Objects(data, "item", layout), None, options)


def _dataset(data: Any, layout: str | None, options: dict[str, Any]) -> ImageSource:
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise DataError(
            f"{type(data).__name__} is an iterable data set; give one with len() and items by position, "
            "or write its images to a folder"
        )
    if not len(data):
        raise DataError(f"the data set {type(data).__name__} has no samples")
    if not _is_huggingface(data):
        classes = getattr(data, "classes", None)
        return _objects(Objects(data, "item", layout), classes, options)
    keys = _image_columns(data)
    if keys is None:
        raise DataError(f"the data set has no image column, only {', '.join(data.features)}")
    label = keys[1]
    classes = data.features[label].names if label else None
    data = data.select_columns([name for name in keys if name])
    return _objects(Objects(data, "row", layout, keys), classes, options)


def _objects(items: Objects, classes: Any, options: dict[str, Any]) -> ImageSource:
    decoded: Decoded = decode(items, **options)
    labels = torch.tensor(decoded.labels) if decoded.labels else None
    named = labels is not None and isinstance(classes, (list, tuple)) and all(isinstance(c, str) for c in classes)
    return ImageSource(
        decoded.store,
        {"kind": "dataset"},
        [items.names[i] for i in decoded.positions],
        torch.from_numpy(decoded.aspect),
        labels,
        list(classes) if named else None,
        [(items.names[i], reason) for i, reason in decoded.failures.items()],
    )


def _labelled(data: Any) -> bool:
    """Whether ``data`` is a tuple of an array of images and one value an image, or one row of them."""
    return (
        isinstance(data, tuple)
        and len(data) == 2
        and all(isinstance(part, (np.ndarray, Tensor)) for part in data)
        and data[0].ndim in (3, 4)
        and (data[1].ndim == 1 or (data[0].ndim == 4 and data[1].ndim == 2))
    )


def _labels(x: np.ndarray | Tensor, y: np.ndarray | Tensor) -> np.ndarray:
    labels = np.asarray(y.cpu() if isinstance(y, Tensor) else y)
    if not is_labels(labels, len(x)):
        raise DataError(
            f"labels beside an array must be one integer an image: there are {len(x)} images and "
            f"{len(labels)} labels of type {labels.dtype}, {list(labels.shape)} (numbers to predict may be floats, and "
            "several classes at once a row of 1, 0 and -1)"
        )
    return labels


def _is_huggingface(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "datasets" and hasattr(data, "features")


def _image_columns(data: Any) -> tuple[str, str | None] | None:
    """Names of the image column and of the class column, if any, of a Hugging Face data set."""
    kinds = {name: type(feature).__name__ for name, feature in (data.features or {}).items()}
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
    return (images[0], labels[0] if labels else None) if images else None
