"""The image sets of the papers, as their owners publish them: MIT-Indoor, Caltech-256, CIFAR, the DomainNet sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .restricted_pickle import load_arrays

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the networks were pretrained on
SIZE = 224


@dataclass(frozen=True)
class ImageFiles:
    """Images on disk, read when asked for: the shorter side at 256, the middle 224 × 224, ImageNet's normalisation."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, index: Tensor) -> Tensor:
        """The images at `index`, (B, 3, 224, 224)."""
        return torch.stack([_read(self.paths[i]) for i in index.tolist()])


@dataclass(frozen=True)
class ImageArrays:
    """Images (n, height, width, 3) of bytes in memory, scaled to `size` × `size` when asked for."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    size: int = SIZE

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, index: Tensor) -> Tensor:
        """The images at `index`, (B, 3, size, size)."""
        images = torch.from_numpy(self.pixels[index.numpy()]).permute(0, 3, 1, 2).float() / 255
        if images.shape[-2:] != (self.size, self.size):
            images = torch.nn.functional.interpolate(
                images, (self.size, self.size), mode="bilinear", align_corners=False
            )
        return normalise(images)


@dataclass(frozen=True)
class ImageSet:
    """Training and test images with labels 0..classes−1; `weak` are given labels of the training part, if any."""

    train: tuple[Any, Tensor]
    test: tuple[Any, Tensor]
    classes: int
    weak: Tensor | None = None


class MissingImages(FileNotFoundError):
    """A file of a data set is not there."""


def mit_indoor(folder: Path | str) -> ImageSet:
    """MIT-Indoor: ``Images/<scene>/*.jpg``, ``TrainImages.txt`` and ``TestImages.txt``, for 67 scenes."""
    folder = Path(folder)
    listed = {part: need(folder / f"{part}Images.txt", _INDOOR).read_text().split("\n") for part in ("Train", "Test")}
    names = {part: [line.strip() for line in lines if line.strip()] for part, lines in listed.items()}
    scenes = sorted({name.split("/")[0] for name in names["Train"]})
    parts = []
    for part in ("Train", "Test"):
        paths = tuple(need(folder / "Images" / name, _INDOOR) for name in names[part])
        parts.append((ImageFiles(paths), torch.tensor([scenes.index(name.split("/")[0]) for name in names[part]])))
    return ImageSet(parts[0], parts[1], len(scenes))


def caltech_256(folder: Path | str, *, per_class: int = 60, test_per_class: int = 20, seed: int = 0) -> ImageSet:
    """Caltech-256: ``256_ObjectCategories/<number>.<name>/*.jpg``; the clutter class is left out."""
    root = Path(folder) / "256_ObjectCategories"
    if not root.is_dir():
        raise MissingImages(f"{root.name}/ is missing: {_CALTECH}")
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, tuple[list[Path], list[int]]] = {"train": ([], []), "test": ([], [])}
    kinds = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("257"))
    for label, kind in enumerate(kinds):
        files = sorted(kind.glob("*.jpg"))
        order = torch.randperm(len(files), generator=generator).tolist()
        for part, chosen in (("train", order[:per_class]), ("test", order[per_class : per_class + test_per_class])):
            parts[part][0].extend(files[i] for i in chosen)
            parts[part][1].extend([label] * len(chosen))
    train, test = ((ImageFiles(tuple(paths)), torch.tensor(labels)) for paths, labels in parts.values())
    return ImageSet(train, test, len(kinds))


def cifar(folder: Path | str, classes: int = 10) -> ImageSet:
    """CIFAR-10 or CIFAR-100 in the binary version: records of labels and 3,072 bytes."""
    if classes not in (10, 100):
        raise ValueError(f"classes must be 10 or 100, got {classes}")
    folder = Path(folder)
    if classes == 10:
        base, train, test, prefix = (
            folder / "cifar-10-batches-bin",
            [f"data_batch_{i}.bin" for i in range(1, 6)],
            "test_batch.bin",
            1,
        )
    else:
        base, train, test, prefix = folder / "cifar-100-binary", ["train.bin"], "test.bin", 2
    parts = []
    for names in (train, [test]):
        records = [np.frombuffer(need(base / name, _CIFAR).read_bytes(), np.uint8) for name in names]
        table = np.concatenate(records)
        if len(table) % (3072 + prefix):
            raise ValueError(f"{names[0]}: expected records of {3072 + prefix} bytes, got {len(table)} bytes in all")
        table = table.reshape(-1, 3072 + prefix)
        pixels = table[:, prefix:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts.append(
            (ImageArrays(np.ascontiguousarray(pixels)), torch.from_numpy(table[:, prefix - 1].astype(np.int64)))
        )
    return ImageSet(parts[0], parts[1], classes)


def domainnet_sample(folder: Path | str, domain: str, *, sample: int = 1) -> ImageSet:
    """One domain of the authors' DomainNet sample: pickled arrays, with weak labels by majority vote.

    ``sample_<i>/<domain>_train.pkl`` and ``_test.pkl`` hold ``data`` (uint8, N × 84 × 84 × 3) and ``labels`` (names);
    ``<domain>_train_mv_labels.npy`` the weak labels, ``sample_classes_<i>.txt`` the five classes. The pickles are read
    by an unpickler that knows arrays only.
    """
    folder = Path(folder)
    classes = [
        line.strip()
        for line in need(folder / f"sample_classes_{sample}.txt", _DOMAINNET).read_text().split("\n")
        if line.strip()
    ]
    base = folder / f"sample_{sample}"
    parts = []
    for part in ("train", "test"):
        path = need(base / f"{domain}_{part}.pkl", _DOMAINNET)
        held = load_arrays(path)
        if not isinstance(held, dict) or {"data", "labels"} - held.keys():
            raise ValueError(f"{path.name} must hold 'data' and 'labels'")
        unknown = set(held["labels"]) - set(classes)
        if unknown:
            raise ValueError(f"{path.name} has a label {sorted(unknown)[0]!r} that is not among {', '.join(classes)}")
        labels = torch.tensor([classes.index(str(name)) for name in held["labels"]])
        parts.append((ImageArrays(np.asarray(held["data"], dtype=np.uint8)), labels))
    votes = np.load(need(base / f"{domain}_train_mv_labels.npy", _DOMAINNET), allow_pickle=False)
    return ImageSet(parts[0], parts[1], len(classes), torch.from_numpy(votes.astype(np.int64)))


def glue_pairs(folder: Path | str, task: str) -> tuple[tuple[list[str], Tensor], tuple[list[str], Tensor]]:
    """Training and validation texts of GLUE's MRPC or SST2, from the tab-separated files; pairs are joined by [SEP]."""
    columns = {"MRPC": ("#1 String", "#2 String", "Quality"), "SST2": ("sentence", "label")}
    if task not in columns:
        raise ValueError(f"task must be MRPC or SST2, got {task!r}")
    *texts, target = columns[task]
    parts = []
    for name in ("train.tsv", "dev.tsv"):
        path = need(Path(folder) / task / name, _GLUE)
        head, *lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
        header = head.split("\t")
        rows = [line.split("\t") for line in lines]
        where = [header.index(column) for column in texts]
        joined = [" [SEP] ".join(row[i] for i in where) for row in rows]
        parts.append((joined, torch.tensor([int(row[header.index(target)]) for row in rows])))
    return parts[0], parts[1]


def normalise(images: Tensor) -> Tensor:
    """Images (B, 3, height, width) in [0, 1] with ImageNet's mean and deviation taken out."""
    mean, deviation = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, DEVIATION))
    return (images - mean) / deviation


def _read(path: Path) -> Tensor:
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
        ratio = 256 / min(image.size)
        image = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BILINEAR)
        left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
        pixels = np.array(image.crop((left, top, left + SIZE, top + SIZE)))
    return normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)[0]


def need(path: Path, source: str) -> Path:
    """The path of a file that has to be there.

    Raises
    ------
    MissingImages
        If it is not; its name and where it comes from are said.
    """
    if not path.is_file():
        raise MissingImages(f"{path.parent.name}/{path.name} is missing: {source}")
    return path


_INDOOR = "download MIT-Indoor (2.4 GB) from web.mit.edu/torralba/www/indoor.html and unpack it"
_CALTECH = "download Caltech-256 (1.2 GB) from data.caltech.edu/records/nyy15-4j048 and unpack it"
_CIFAR = "download the binary version of CIFAR (160 MB) from www.cs.toronto.edu/~kriz/cifar.html and unpack it"
_DOMAINNET = (
    "take exps_on_image_datasets/data/domain_net of the GitHub repository VirtuosoResearch/Robust-Fine-Tuning (MIT)"
)
_GLUE = "download the GLUE tasks from gluebenchmark.com/tasks and unpack them"
