"""The papers' own data at scale paper, on small stand-in files in the layout that their owners publish."""

import json
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch import nn

from reprise.core import Context, MissingData, run_experiment
from reprise.robust_fine_tuning.bert import TextClassifier, load_bert
from reprise.robust_fine_tuning.encoder import MissingModel, load_minilm, model_folder, tokenize
from reprise.robust_fine_tuning.experiments import (
    data_sets,
    few_shot,
    image_noise,
    image_sets,
    image_tasks,
    measure_vs_gap,
)
from reprise.robust_fine_tuning.experiments.image_sets import READERS
from reprise.robust_fine_tuning.few_shot_data import MINI, PARTS, episode, mini_imagenet
from reprise.robust_fine_tuning.fine_grained_data import aircrafts, cars, cub_200, dogs, flowers
from reprise.robust_fine_tuning.image_data import MissingImages
from reprise.robust_fine_tuning.paper import PAPER
from reprise.robust_fine_tuning.resnet12 import resnet12


def image(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 32), (shade, 100, 200)).save(path)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def make_aircrafts(folder):
    base = folder / "fgvc-aircraft-2013b" / "data"
    text(base / "images_variant_trainval.txt", "0000001 Boeing 707-320", "0000002 A380", "0000003 A380")
    text(base / "images_variant_test.txt", "0000004 Boeing 707-320")
    for i in range(1, 5):
        image(base / "images" / f"{i:07d}.jpg", i)


def make_cub(folder):
    base = folder / "CUB_200_2011"
    text(base / "images.txt", "1 001.Albatross/a.jpg", "2 002.Auklet/b.jpg", "3 001.Albatross/c.jpg")
    text(base / "image_class_labels.txt", "1 1", "2 2", "3 1")
    text(base / "train_test_split.txt", "1 1", "2 1", "3 0")
    for name in ("001.Albatross/a", "002.Auklet/b", "001.Albatross/c"):
        image(base / "images" / f"{name}.jpg")


def make_cars(folder):
    (folder / "devkit").mkdir(parents=True)
    kinds = [(n, object) for n in ("bbox_x1", "class", "fname")]
    train = np.array([(1, 2, "00001.jpg"), (1, 1, "00002.jpg")], dtype=kinds)
    savemat(folder / "devkit" / "cars_train_annos.mat", {"annotations": train})
    test = np.array([(1, 1, "00001.jpg"), (1, 2, "00002.jpg")], dtype=kinds)
    savemat(folder / "cars_test_annos_withlabels.mat", {"annotations": test})
    for part in ("train", "test"):
        for i in (1, 2):
            image(folder / f"cars_{part}" / f"{i:05d}.jpg")


def make_dogs(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for part, files, labels in (("train", ["a/1.jpg", "b/1.jpg"], [1, 2]), ("test", ["a/2.jpg", "b/2.jpg"], [1, 2])):
        listed = np.array([[name] for name in files], dtype=object)
        savemat(folder / f"{part}_list.mat", {"file_list": listed, "labels": np.array(labels)[:, None]})
        for name in files:
            image(folder / "Images" / name)


def make_flowers(folder):
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 2, 1, 2]], dtype=np.uint8)})
    savemat(folder / "setid.mat", {"trnid": np.array([[2, 1]]), "valid": np.array([[3]]), "tstid": np.array([[4, 3]])})
    for i in range(1, 5):
        image(folder / "jpg" / f"image_{i:05d}.jpg", i)


@pytest.mark.parametrize(
    ("make", "read", "train", "test"),
    [
        (make_aircrafts, aircrafts, [1, 0, 0], [1]),
        (make_cub, cub_200, [0, 1], [0]),
        (make_cars, cars, [1, 0], [0, 1]),
        (make_dogs, dogs, [0, 1], [0, 1]),
        (make_flowers, flowers, [1, 0], [1, 0]),
    ],
)
def test_fine_grained_sets_are_read_with_their_owners_split(tmp_path, make, read, train, test):
    make(tmp_path / "set")
    found = read(tmp_path / "set")
    assert found.train[1].tolist() == train and found.test[1].tolist() == test and found.classes == 2
    assert found.train[0].batch(torch.tensor([0])).shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("read", "match"),
    [
        (aircrafts, "images_variant_trainval.txt is missing: download FGVC-Aircraft"),
        (cub_200, "images.txt is missing: download CUB-200-2011"),
        (cars, "cars_train_annos.mat is missing: download Stanford Cars"),
        (dogs, "train_list.mat is missing: download Stanford Dogs"),
        (flowers, "imagelabels.mat is missing: download 102 Flowers"),
        (lambda folder: mini_imagenet(folder, "base"), "train_phase_train.pickle is missing: take the three pickles"),
    ],
)
def test_a_missing_file_is_named_with_its_source(tmp_path, read, match):
    with pytest.raises(MissingImages, match=match):
        read(tmp_path)


def test_a_listed_image_that_is_not_there_is_named(tmp_path):
    make_flowers(tmp_path)
    (tmp_path / "jpg" / "image_00002.jpg").unlink()
    with pytest.raises(MissingImages, match=r"jpg/image_00002.jpg is missing: download 102 Flowers"):
        flowers(tmp_path)


def make_mini_imagenet(folder, classes=5, images=4):
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for i, part in enumerate(PARTS.values()):
        held = {
            "data": generator.integers(0, 256, (classes * images, 84, 84, 3), dtype=np.uint8),
            "labels": [64 * i + c for c in range(classes) for _ in range(images)],
        }
        (folder / MINI.format(part)).write_bytes(pickle.dumps(held, protocol=2))


def test_mini_imagenet_is_read_from_its_pickles_with_labels_from_zero(tmp_path):
    make_mini_imagenet(tmp_path, classes=2, images=2)
    inputs, labels = mini_imagenet(tmp_path, "novel")
    assert labels.tolist() == [0, 0, 1, 1] and inputs.batch(torch.tensor([1])).shape == (1, 3, 84, 84)
    with pytest.raises(ValueError, match="part must be one of"):
        mini_imagenet(tmp_path, "training")


def test_an_episode_has_its_shots_and_queries_without_overlap():
    labels = torch.arange(60) % 6
    found = episode(labels, ways=4, shots=2, queries=3, generator=torch.Generator().manual_seed(3))
    assert len(found.support) == 8 and len(found.query) == 12
    assert not set(found.support.tolist()) & set(found.query.tolist())
    kinds = [set(labels[found.support[found.support_labels == way]].tolist()) for way in range(4)]
    assert all(len(kind) == 1 for kind in kinds) and len(set.union(*kinds)) == 4
    assert [set(labels[found.query[found.query_labels == way]].tolist()) for way in range(4)] == kinds


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ways": 7}, "ways must be at most the number of classes"),
        ({"ways": 1}, "ways must be at least 2"),
        ({"shots": 0}, "shots must be at least 1"),
        ({"queries": 10}, "has 10 examples, 11 are needed"),
    ],
)
def test_impossible_episodes_are_refused(change, match):
    arguments = {"ways": 2, "shots": 1, "queries": 1} | change
    with pytest.raises(ValueError, match=match):
        episode(torch.arange(60) % 6, generator=torch.Generator(), **arguments)


def test_resnet_12_has_its_published_size():
    # Lee et al. (2019): 12.4 M parameters
    assert sum(p.numel() for p in resnet12(5).parameters()) == pytest.approx(12.4e6, rel=0.01)


@pytest.fixture
def bert_folder(tmp_path):
    """A tiny BERT under the old names, with MiniLM's tokenizer."""
    safetensors = pytest.importorskip("safetensors.torch")
    try:
        tokenizer = model_folder() / "tokenizer.json"
    except MissingModel as error:
        pytest.skip(str(error))
    folder = tmp_path / "data" / data_sets.BERT.name
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "embeddings.word_embeddings.weight": (30522, 8),
        "embeddings.position_embeddings.weight": (512, 8),
        "embeddings.token_type_embeddings.weight": (2, 8),
        "embeddings.LayerNorm.gamma": (8,),
        "embeddings.LayerNorm.beta": (8,),
        "pooler.dense.weight": (8, 8),
    }
    for i in range(2):
        layer = f"encoder.layer.{i}"
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{layer}.{part}.weight": (8, 8), f"{layer}.{part}.bias": (8,)}
        shapes |= {f"{layer}.intermediate.dense.weight": (16, 8), f"{layer}.intermediate.dense.bias": (16,)}
        shapes |= {f"{layer}.output.dense.weight": (8, 16), f"{layer}.output.dense.bias": (8,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{layer}.{part}.gamma": (8,), f"{layer}.{part}.beta": (8,)}
    state = {f"bert.{name}": 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    safetensors.save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return folder


def test_bert_is_read_with_its_own_sizes_and_old_names(bert_folder):
    encoder = load_bert(bert_folder)
    assert len(encoder.layers) == 2 and encoder.layers[0].self_attn.num_heads == 2
    model = TextClassifier(encoder, 3, torch.Generator().manual_seed(0)).eval()
    tokens = tokenize(["One. [SEP] Another one.", "A third."], folder=bert_folder)
    assert model(tokens.ids, tokens.mask).shape == (2, 3)


def test_minilm_is_a_bert_too():
    try:
        expected = load_minilm()
    except MissingModel as error:
        pytest.skip(str(error))
    found = load_bert(model_folder())
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in expected.state_dict().items())


def test_a_folder_without_a_bert_is_said(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        load_bert(tmp_path)
    safetensors.save_file({"weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="is not of a BERT"):
        load_bert(tmp_path)


def context_of(name, prepared=None):
    return Context(f"robust-fine-tuning/{name}", {}, prepared=prepared)


def test_measure_vs_gap_fine_tunes_bert_on_glue(tmp_path, bert_folder, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path / "data"))
    lines = [f"{i % 2}\t7\t8\tThe {'good' if i % 2 else 'bad'} film {i}.\tIt was number {i}." for i in range(12)]
    for part in ("train", "dev"):
        text(tmp_path / "data" / data_sets.GLUE.name / "MRPC" / f"{part}.tsv", _MRPC, *lines)
        text(tmp_path / "data" / data_sets.GLUE.name / "SST2" / f"{part}.tsv", "sentence\tlabel", "fine\t1")
    settings = measure_vs_gap.Settings(sizes=(8,), epochs=1, measured=4, method="ggn", chunk_size=4, step_size=1e-4)
    (row,) = measure_vs_gap.measure(
        settings, {"task": "MRPC", "n": 8, "method": "Frobenius", "trial": 0}, context_of("measure-vs-gap")
    )
    assert 0 < row["measure"] < 100 and row["distance_bound"] > row["measure"] and row["trace_bound"] > 0


_MRPC = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"


@pytest.fixture
def small_resnets(tmp_path, monkeypatch):
    """Weights of the published names, at random."""
    torchvision = pytest.importorskip("torchvision.models")
    folder = tmp_path / data_sets.RESNETS.name
    folder.mkdir(parents=True)
    for depth, file in data_sets.RESNET_FILES.items():
        if depth == 18:
            torch.save(torchvision.resnet18().state_dict(), folder / file)
        else:
            (folder / file).touch()
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    return tmp_path


def small_network(depth, classes, seed, context, initial="pretrained"):
    """What has the blocks of a ResNet, and is fast."""
    parts = {"layer1": nn.Conv2d(3, 4, 16, stride=16), "layer2": nn.Conv2d(4, 4, 3), "layer3": nn.Conv2d(4, 4, 3)}
    rest = {"layer4": nn.Conv2d(4, 4, 3), "pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()}
    return nn.Sequential(OrderedDict(parts | rest | {"fc": nn.Linear(4, classes)}))


def make_domainnet(base):
    (base / "sample_1").mkdir(parents=True)
    (base / "sample_classes_1.txt").write_text("cat\ndog\n")
    pixels = np.random.default_rng(0).integers(0, 256, (10, 84, 84, 3), dtype=np.uint8)
    for domain in data_sets.DOMAINS:
        for part, count in (("train", 10), ("test", 1)):
            held = {"data": pixels[:count], "labels": np.array(["dog", "cat"] * 5)[:count]}
            (base / "sample_1" / f"{domain}_{part}.pkl").write_bytes(pickle.dumps(held))
        np.save(base / "sample_1" / f"{domain}_train_mv_labels.npy", np.array([1, 0] * 4 + [0, 0]))


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_image_tasks_run_on_files_in_the_published_layout(small_resnets, monkeypatch, real):
    make_domainnet(small_resnets / data_sets.DOMAINNET.name)
    if not real:
        monkeypatch.setattr(image_sets, "resnet", small_network)
    settings = image_tasks.Settings(tasks=("clipart",), epochs=1, batch_size=6, products=2, trials=1)
    cell = {"task": "clipart", "method": "consistent + constraint", "trial": 0}
    (row,) = image_tasks.measure(settings, cell, context_of("image-tasks"))
    assert row["depth"] == 18 and row["radius"] == 7.802 and 0 <= row["accuracy"] <= 1


def make_indoor(folder):
    names = [f"{scene}/{scene}_{i:04d}.jpg" for scene in ("airport_inside", "bar") for i in range(1, 7)]
    for name in names:
        image(folder / "Images" / name)
    text(folder / "TrainImages.txt", *names)
    text(folder / "TestImages.txt", names[0])


@pytest.mark.parametrize("method", ["plain", "growing radii", "SAM", "RegSL"])
def test_indoor_runs_with_the_authors_radii_by_block(small_resnets, monkeypatch, method):
    make_indoor(small_resnets / data_sets.INDOOR.name)
    monkeypatch.setattr(image_sets, "resnet", small_network)
    settings = image_tasks.Settings(tasks=("indoor",), epochs=1, batch_size=6, products=2, trials=1)
    (row,) = image_tasks.measure(settings, {"task": "indoor", "method": method, "trial": 0}, context_of("image-tasks"))
    expected = {"plain": (101, None), "growing radii": (101, 0.1368), "SAM": (34, None), "RegSL": (18, 7.802)}[method]
    assert row["depth"] == expected[0]
    assert row["radius"] == expected[1] if expected[1] else np.isnan(row["radius"])


def test_losses_under_noise_and_measures_run_on_files_in_the_published_layout(small_resnets, monkeypatch):
    make_indoor(small_resnets / data_sets.INDOOR.name)
    make_domainnet(small_resnets / data_sets.DOMAINNET.name)
    monkeypatch.setattr(image_sets, "resnet", small_network)
    settings = image_noise.Settings(tasks=("indoor",), weak=("clipart",), epochs=1, samples=2, measured=4, trials=1)
    cell = {"task": "indoor", "initial": "adversarial", "method": "plain", "trial": 0}
    rows = image_noise.measure(settings, cell, context_of("image-noise"))
    assert [row["layer"] for row in rows if row["kind"] == "distance"] == [1, 2, 3, 4]
    assert [row["sigma"] for row in rows if row["kind"] == "noise"] == [1e-2, 1e-3, 1e-4]
    weak = {"task": "clipart", "initial": "pretrained", "method": "consistent + constraint", "trial": 0}
    (row,) = image_noise.measure(settings, weak, context_of("image-noise"))
    assert row["measure"] > 0


def test_adversarially_pretrained_weights_are_unwrapped_and_named_when_absent(small_resnets):
    context = context_of("image-noise")
    with pytest.raises(MissingData, match=r"resnet18_l2_eps1\.ckpt"):
        image_sets.resnet(18, 3, 0, context, "adversarial")
    plain = image_sets.resnet(18, 1000, 0, context, "random").state_dict()
    wrapped = {"model": {f"module.model.{name}": value for name, value in plain.items()} | {"module.mean": 0.5}}
    file = small_resnets / data_sets.ROBUST_RESNETS.name / data_sets.ROBUST_RESNET_FILES[18]
    file.parent.mkdir(parents=True)
    torch.save(wrapped, file)
    found = image_sets.resnet(18, 3, 0, context, "adversarial").state_dict()
    assert found["fc.weight"].shape == (3, 512)
    assert all(torch.equal(found[name], value) for name, value in plain.items() if not name.startswith("fc."))


@pytest.mark.slow
def test_a_flat_minima_cell_reads_cifar(small_resnets, monkeypatch):
    base = small_resnets / data_sets.CIFAR10.name / "cifar-10-batches-bin"
    base.mkdir(parents=True)
    records = b"".join(bytes([label]) + bytes([20 * label]) * 3072 for label in (0, 9))
    for file in data_sets.CIFAR10.files:
        (base / file.name.split("/")[1]).write_bytes(records)
    monkeypatch.setattr(image_tasks, "FLAT", ())  # a ResNet-18, as only its weights are here
    settings = image_tasks.Settings(tasks=("cifar10",), epochs=1, batch_size=7, products=2, trials=1)
    (row,) = image_tasks.measure(settings, {"task": "cifar10", "method": "NSO", "trial": 0}, context_of("image-tasks"))
    assert np.isfinite(row["trace"]) and row["depth"] == 18


def test_every_image_set_of_the_papers_has_a_reader_and_radii():
    assert set(image_tasks.AUTHORS) == {"indoor", "caltech", "aircrafts", "cub", "cars", "dogs", "flowers"}
    assert {*image_tasks.AUTHORS, "cifar10", "cifar100", *data_sets.DOMAINS} == set(READERS)
    cells = list(image_tasks.cells(image_tasks.EXPERIMENT.scales["paper"]))
    assert {cell["task"] for cell in cells} == set(READERS)


def test_few_shot_tasks_of_mini_imagenet_run(tmp_path, monkeypatch):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    make_mini_imagenet(tmp_path / data_sets.MINI_IMAGENET.name)
    monkeypatch.setattr(few_shot, "resnet12", lambda classes: resnet12(classes, (2, 3, 4, 5)))
    settings = few_shot.Settings(
        task="mini-imagenet",
        shots=(1,),
        queries=2,
        episodes=1,
        choosing=1,
        epochs=1,
        radii=(1.0, 2.0),
        growing=((1.0, 1.1),),
        pretraining=3,
    )
    prepared = few_shot.prepare(settings, context_of("few-shot"))
    assert prepared.radii["growing radii", 1] == (1.0, 1.1) and prepared.radii["plain", 1] is None
    (row,) = few_shot.measure(
        settings, {"shots": 1, "method": "growing radii", "trial": 0}, context_of("few-shot", prepared)
    )
    assert row["task"] == "mini-imagenet" and 0 <= row["accuracy"] <= 1


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("image-tasks", r"indoor lacks TrainImages.txt.*web.mit.edu"),
        ("few-shot", r"mini_imagenet lacks miniImageNet_category_split_train_phase_train.pickle"),
        ("measure-vs-gap", r"indoor lacks TrainImages.txt"),
    ],
)
def test_paper_scale_says_which_file_is_missing(tmp_path, monkeypatch, name, match):
    monkeypatch.setenv("REPRISE_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=match):
        run_experiment(PAPER, name, scale="paper", out=tmp_path, workers=1, device="cpu")
