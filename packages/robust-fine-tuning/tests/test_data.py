"""Text sets, weak labels, the encoder, digits, and the image files of the papers in their owners' formats."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from reprise.core import MissingData
from reprise.robust_fine_tuning import (
    digits_transfer,
    hessian_distance,
    hidden_states,
    keyword_labels,
    load_minilm,
    read_text_set,
    tokenize,
)
from reprise.robust_fine_tuning.encoder import HiddenStates, TopLayers, pool, without_padding
from reprise.robust_fine_tuning.experiments.data_sets import TEXT
from reprise.robust_fine_tuning.image_data import (
    MissingImages,
    caltech_256,
    cifar,
    domainnet_sample,
    glue_pairs,
    mit_indoor,
)
from reprise.robust_fine_tuning.restricted_pickle import load_arrays
from reprise.robust_fine_tuning.text_data import TREC_CLASSES


@pytest.fixture
def text_folder():
    try:
        return TEXT.find()
    except MissingData as error:
        pytest.skip(str(error))


def test_the_text_sets_have_their_published_sizes(text_folder):
    train, test = read_text_set(text_folder, "trec")
    assert (len(train), len(test)) == (5452, 500)
    assert torch.bincount(train.labels).tolist() == [1162, 1250, 86, 1223, 835, 896]
    assert len(read_text_set(text_folder, "cr")[0]) == 3775
    assert len(read_text_set(text_folder, "subj")[0]) == 10000


def test_keywords_label_most_questions_of_four_classes(text_folder):
    train, _ = read_text_set(text_folder, "trec")
    right = keyword_labels(train.texts) == train.labels
    assert 0.5 < float(right.double().mean()) < 0.8
    for name in ("ENTY", "ABBR", "LOC", "NUM"):
        assert float(right[train.labels == TREC_CLASSES.index(name)].double().mean()) > 0.5


def test_malformed_lines_and_names_are_named(tmp_path):
    (tmp_path / "custrev.all").write_text("1 good\n7 what\n")
    with pytest.raises(ValueError, match="line 2: expected 'label text' with a label below 2"):
        read_text_set(tmp_path, "cr")
    with pytest.raises(ValueError, match="name must be one of"):
        read_text_set(tmp_path, "sst")


@pytest.fixture(scope="module")
def encoder():
    return load_minilm()


def test_the_encoder_puts_like_sentences_near(encoder):
    texts = ["A cat sits on the mat.", "There is a kitten on the rug.", "The stock market fell sharply today."]
    states = hidden_states(encoder, tokenize(texts), 6)
    vectors = pool(states.hidden, states.mask)
    torch.testing.assert_close(vectors.norm(dim=1), torch.full((3,), 384**0.5))
    cosine = vectors @ vectors.T / 384
    assert cosine[0, 1] > 0.4 > 0.2 > cosine[0, 2]


def test_padding_and_batches_do_not_change_a_sentence(encoder):
    texts = ["What is this?", "Who wrote the longest of all the novels in the whole library of the town?"]
    together = hidden_states(encoder, tokenize(texts), 6)
    alone = hidden_states(encoder, tokenize(texts[:1]), 6)
    length = int(alone.mask.sum())
    torch.testing.assert_close(together.hidden[0, :length], alone.hidden[0, :length], rtol=1e-4, atol=1e-5)


def test_the_top_layers_go_on_where_the_frozen_ones_end(encoder):
    tokens = tokenize(["Where is Lima?", "Who was Emma?"])
    lower = hidden_states(encoder, tokens, 5)
    top = TopLayers(list(encoder.layers)[5:], 6, torch.Generator().manual_seed(0)).eval()
    found = top(lower.hidden, lower.mask)
    whole = hidden_states(encoder, tokens, 6)
    torch.testing.assert_close(found, top.head(pool(whole.hidden, whole.mask)), rtol=1e-4, atol=1e-4)


def test_a_layer_without_padding_is_torchs_own_with_its_gradients(encoder):
    tokens = tokenize(["Where is Lima?", "Who wrote the longest of all the novels in the whole library of the town?"])
    hidden, mask = hidden_states(encoder, tokens, 5).batch(torch.arange(2))
    layer = copy.deepcopy(encoder.layers[5]).requires_grad_(True)
    outputs, gradients = [], []
    for found in (layer(hidden, src_key_padding_mask=~mask), without_padding(layer, hidden, mask)):
        outputs.append(found[mask])
        gradients.append(torch.autograd.grad(found[mask].square().sum(), list(layer.parameters())))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(*gradients[::-1]):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["ggn", "lanczos"])
def test_the_measure_of_the_top_layer_does_not_depend_on_padding(encoder, method):
    states = hidden_states(encoder, tokenize(["Where is Lima?"]), 5)
    top = TopLayers(list(encoder.layers)[5:], 2, torch.Generator().manual_seed(0)).eval()
    start = {name: 0.9 * value for name, value in top.state_dict().items()}
    longer = nn.functional.pad(states.hidden, (0, 0, 0, 3)), nn.functional.pad(states.mask, (0, 3))
    found = [
        hessian_distance(top, start, [(inputs, torch.tensor([1]))], layers=["head.weight"], method=method, steps=4)
        for inputs in ((states.hidden, states.mask), longer)
    ]
    assert found[1].measure == pytest.approx(found[0].measure, rel=1e-4)


def test_batches_are_cut_to_their_longest_text():
    states = HiddenStates(torch.zeros(2, 9, 4), torch.tensor([[True] * 3 + [False] * 6, [True] * 5 + [False] * 4]))
    hidden, mask = states.batch(torch.tensor([0]))
    assert hidden.shape == (1, 3, 4) and bool(mask.all())


def test_digits_are_split_without_overlap_and_pretrained_on_others():
    task = digits_transfer(50, 3, state={})
    parts = (task.train, task.validation, task.test)
    assert [len(y) for _, y in parts[:2]] == [50, 150]
    rows = torch.cat([x for x, _ in parts])
    assert len(torch.unique(rows, dim=0)) == len(rows)
    assert {int(label) for label in torch.cat([y for _, y in parts])} == set(range(5))
    with pytest.raises(ValueError, match="n must be at most 500"):
        digits_transfer(501, 0)


def test_pickles_that_ask_for_more_than_arrays_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(ValueError, match=r"refused builtins\.print"):
        load_arrays(path)
    path.write_bytes(b"\x80")
    with pytest.raises(ValueError, match="cannot be read"):
        load_arrays(path)


def test_domainnet_samples_are_read_in_the_authors_format(tmp_path):
    (tmp_path / "sample_1").mkdir()
    (tmp_path / "sample_classes_1.txt").write_text("cat\ndog\n")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 84, 84, 3), dtype=np.uint8)
    for part in ("train", "test"):
        held = {"data": pixels, "labels": np.array(["dog", "cat", "dog"])}
        (tmp_path / "sample_1" / f"clipart_{part}.pkl").write_bytes(pickle.dumps(held))
    np.save(tmp_path / "sample_1" / "clipart_train_mv_labels.npy", np.array([1, 1, 1]))
    found = domainnet_sample(tmp_path, "clipart")
    assert found.train[1].tolist() == [1, 0, 1] and found.weak.tolist() == [1, 1, 1] and found.classes == 2
    assert found.train[0].batch(torch.tensor([0, 2])).shape == (2, 3, 224, 224)


def test_cifar_is_read_from_its_binary_records(tmp_path):
    base = tmp_path / "cifar-10-batches-bin"
    base.mkdir()
    record = bytes([3]) + bytes(range(256)) * 12
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        (base / name).write_bytes(record * 2)
    found = cifar(tmp_path)
    assert found.train[1].tolist() == [3] * 10 and len(found.test[1]) == 2
    assert found.train[0].pixels[0, 0, 5].tolist() == [5, 5, 5]


def test_indoor_and_caltech_are_read_from_their_folders(tmp_path):
    from PIL import Image

    for scene in ("attic", "bar"):
        (tmp_path / "Images" / scene).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (300, 280), (255, 0, 0)).save(tmp_path / "Images" / scene / f"{i}.jpg")
    (tmp_path / "TrainImages.txt").write_text("attic/0.jpg\nbar/0.jpg\n")
    (tmp_path / "TestImages.txt").write_text("bar/1.jpg\n")
    found = mit_indoor(tmp_path)
    assert found.train[1].tolist() == [0, 1] and found.test[1].tolist() == [1]
    image = found.train[0].batch(torch.tensor([0]))[0]
    assert image.shape == (3, 224, 224) and float(image[0].mean()) > 2  # red, normalised
    for kind in ("001.ak47", "002.bat", "257.clutter"):
        folder = tmp_path / "256_ObjectCategories" / kind
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (300, 280)).save(folder / f"{i}.jpg")
    objects = caltech_256(tmp_path, per_class=2, test_per_class=1)
    assert objects.classes == 2 and len(objects.train[1]) == 4 and len(objects.test[1]) == 2


def test_glue_pairs_are_read_from_their_tables(tmp_path):
    (tmp_path / "MRPC").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        text = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tOne.\tAnother.\n"
        (tmp_path / "MRPC" / name).write_text(text, encoding="utf-8")
    (texts, labels), _ = glue_pairs(tmp_path, "MRPC")
    assert texts == ["One. [SEP] Another."] and labels.tolist() == [1]


@pytest.mark.parametrize(
    ("read", "match"),
    [
        (mit_indoor, "TrainImages.txt is missing: download MIT-Indoor"),
        (caltech_256, "256_ObjectCategories/ is missing: download Caltech-256"),
        (cifar, "data_batch_1.bin is missing: download the binary version of CIFAR"),
        (lambda folder: domainnet_sample(folder, "real"), "sample_classes_1.txt is missing: take exps_on_image"),
        (lambda folder: glue_pairs(folder, "SST2"), "train.tsv is missing: download the GLUE tasks"),
    ],
)
def test_a_missing_file_is_named_with_its_source(tmp_path, read, match):
    with pytest.raises(MissingImages, match=match):
        read(tmp_path)
