"""Five fine-grained image sets as their owners publish them: Aircrafts, CUB-200, Cars, Dogs and Flowers.

Each reader takes the unpacked folder and gives the owners' own split into training and test images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .image_data import ImageFiles, ImageSet, need

_AIRCRAFTS = "download FGVC-Aircraft 2013b (2.7 GB) from www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft and unpack it"
_CUB = "download CUB-200-2011 (1.1 GB) from www.vision.caltech.edu/datasets/cub_200_2011 and unpack it"
_CARS = "download Stanford Cars (1.9 GB) with its devkit and cars_test_annos_withlabels.mat and unpack them"
_DOGS = "download Stanford Dogs (0.8 GB; images and lists) from vision.stanford.edu/aditya86/ImageNetDogs and unpack it"
_FLOWERS = (
    "download 102 Flowers (0.3 GB; images, imagelabels.mat, setid.mat) from www.robots.ox.ac.uk/~vgg/data/flowers"
)


def aircrafts(folder: Path | str) -> ImageSet:
    """FGVC-Aircraft: ``data/images/*.jpg`` and ``data/images_variant_{trainval,test}.txt``, of 100 variants."""
    base = _inside(folder, "fgvc-aircraft-2013b") / "data"
    parts = []
    for part in ("trainval", "test"):
        lines = _lines(base / f"images_variant_{part}.txt", _AIRCRAFTS)
        parts.append([(base / "images" / f"{name}.jpg", kind) for name, _, kind in (s.partition(" ") for s in lines)])
    return _image_set(*parts, source=_AIRCRAFTS)


def cub_200(folder: Path | str) -> ImageSet:
    """CUB-200-2011: ``images.txt``, ``image_class_labels.txt``, ``train_test_split.txt`` and ``images/``."""
    base = _inside(folder, "CUB_200_2011")
    names, labels, chosen = (
        dict(line.split() for line in _lines(base / file, _CUB))
        for file in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    parts = [
        [(base / "images" / name, int(labels[key])) for key, name in names.items() if chosen[key] == flag]
        for flag in ("1", "0")
    ]
    return _image_set(*parts, source=_CUB)


def cars(folder: Path | str) -> ImageSet:
    """Stanford Cars: ``cars_{train,test}/*.jpg`` and the annotations of the devkit, of 196 models."""
    base = Path(folder)
    parts = []
    for part, file in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        rows = np.atleast_1d(_matlab(base / file, _CARS)["annotations"])
        parts.append([(base / f"cars_{part}" / str(_field(row, "fname")), int(_field(row, "class"))) for row in rows])
    return _image_set(*parts, source=_CARS)


def dogs(folder: Path | str) -> ImageSet:
    """Stanford Dogs: ``Images/<breed>/*.jpg`` and ``{train,test}_list.mat``, of 120 breeds."""
    base = Path(folder)
    parts = []
    for part in ("train", "test"):
        found = _matlab(base / f"{part}_list.mat", _DOGS)
        files, labels = np.atleast_1d(found["file_list"]), np.atleast_1d(found["labels"])
        parts.append([(base / "Images" / str(name), int(label)) for name, label in zip(files, labels)])
    return _image_set(*parts, source=_DOGS)


def flowers(folder: Path | str) -> ImageSet:
    """102 Flowers: ``jpg/image_00001.jpg`` …, ``imagelabels.mat``, ``setid.mat``; the validation part is left out."""
    base = Path(folder)
    labels = np.atleast_1d(_matlab(base / "imagelabels.mat", _FLOWERS)["labels"])
    ids = _matlab(base / "setid.mat", _FLOWERS)
    parts = [
        [(base / "jpg" / f"image_{i:05d}.jpg", int(labels[i - 1])) for i in np.atleast_1d(ids[name]).tolist()]
        for name in ("trnid", "tstid")
    ]
    return _image_set(*parts, source=_FLOWERS)


def _image_set(train: list[tuple[Path, Any]], test: list[tuple[Path, Any]], *, source: str) -> ImageSet:
    """Files and the owners' classes, which are numbered here from 0 in their order."""
    classes = sorted({kind for _, kind in train})
    number = {kind: i for i, kind in enumerate(classes)}
    unknown = {kind for _, kind in test} - number.keys()
    if unknown:
        raise ValueError(f"the test images have a class {sorted(unknown)[0]!r} that no training image has")
    parts = [
        (ImageFiles(tuple(need(path, source) for path, _ in part)), torch.tensor([number[kind] for _, kind in part]))
        for part in (train, test)
    ]
    return ImageSet(parts[0], parts[1], len(classes))


def _inside(folder: Path | str, name: str) -> Path:
    """The folder, or the one of this name that the archive has made in it."""
    inner = Path(folder) / name
    return inner if inner.is_dir() else Path(folder)


def _lines(path: Path, source: str) -> list[str]:
    return [line.strip() for line in need(path, source).read_text().splitlines() if line.strip()]


def _matlab(path: Path, source: str) -> dict[str, Any]:
    from scipy.io import loadmat

    found: dict[str, Any] = loadmat(need(path, source), squeeze_me=True, struct_as_record=True)
    return found


def _field(row: Any, name: str) -> Any:
    return row[name].item() if isinstance(row[name], np.ndarray) else row[name]
