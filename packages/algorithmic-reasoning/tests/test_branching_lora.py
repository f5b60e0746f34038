"""Adapters of a tiny language model with random weights: routes, what moves, gradients, answers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from reprise.algorithmic_reasoning import (
    BranchingLoRA,
    BranchingStructure,
    Text,
    answer_accuracy,
    answer_loss,
    autobrane,
    fit_text,
    search,
    text_gradient_features,
    text_sample,
    to_text,
)
from reprise.algorithmic_reasoning.text_training import token_batch
from reprise.tasks import Partition, RandomProjection, adapted_parameters, parameter_count

TREE = BranchingStructure([[{"bfs", "dfs", "mst_prim"}], [{"bfs", "mst_prim"}, {"dfs"}]])


def encode(text):
    return list(text.encode())


def decode(tokens):
    return bytes(tokens).decode(errors="replace")


@pytest.fixture
def language_model():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=256,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    return Qwen2ForCausalLM(config).eval()


@pytest.fixture(scope="module")
def texts():
    return {n: [t for one in text_sample(n, nodes=4, samples=2, seed=0) for t in to_text(one)] for n in TREE.tasks}


def tokens():
    return torch.arange(6)[None]


def test_at_first_the_model_answers_as_it_did(language_model):
    before = language_model(tokens()).logits
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    torch.testing.assert_close(adapters("dfs", tokens()), before)


def test_an_adapter_adds_its_low_rank_map(language_model):
    base = language_model.model.layers[3].self_attn.q_proj
    adapters = BranchingLoRA(language_model, TREE, rank=2, alpha=6.0)
    adapted = language_model.model.layers[3].self_attn.q_proj
    nn.init.normal_(adapted.pairs[1].B)
    x = torch.randn(3, 16)
    with adapters.task("dfs"):
        expected = base(x) + 3.0 * x @ adapted.pairs[1].A.T @ adapted.pairs[1].B.T
        torch.testing.assert_close(adapted(x), expected)
    torch.testing.assert_close(adapted(x), base(x))


def test_blocks_are_dealt_to_the_layers_of_the_tree_in_order(language_model):
    adapters = BranchingLoRA(language_model, TREE, rank=2, targets=("q_proj",))
    counts = [len(block.self_attn.q_proj.pairs) for block in language_model.model.layers]
    assert counts == [1, 1, 2, 2]
    names = adapters.parameter_names("dfs", layer=1)
    assert len(names) == 4 and all(".1." in name for name in names)
    assert sum(p.numel() for p in adapters.parameters()) == 6 * 2 * 32


def test_training_a_task_moves_its_own_branch_alone(language_model, texts):
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    fit_text(adapters, {"bfs": texts["bfs"]}, encode, steps=2, lr=1e-2)
    frozen = {name: value.clone() for name, value in language_model.named_parameters() if "pairs" not in name}
    before = {name: value.detach().clone() for name, value in adapters.named_parameters()}
    history = fit_text(adapters, {"dfs": texts["dfs"]}, encode, steps=3, lr=1e-2)
    assert len(history) == 3
    own = set(adapters.parameter_names("dfs"))
    for name, value in adapters.named_parameters():
        assert torch.equal(value, before[name]) == (name not in own), name
    assert all(torch.equal(dict(language_model.named_parameters())[name], value) for name, value in frozen.items())


def test_tasks_in_turn_leave_each_others_branches_alone_in_spite_of_momentum(language_model, texts):
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    states = []

    def keep(*_):
        states.append({name: value.detach().clone() for name, value in adapters.named_parameters()})

    hooks = register_optimizer_step_pre_hook(keep), register_optimizer_step_post_hook(keep)
    try:
        fit_text(adapters, {name: texts[name] for name in ("bfs", "dfs")}, encode, steps=2, accumulation=1, lr=1e-2)
    finally:
        for hook in hooks:
            hook.remove()
    owners = [set(adapters.parameter_names(name)) for name in ("bfs", "dfs")]
    moved = [
        {name for name, value in after.items() if not torch.equal(value, before[name])}
        for before, after in zip(states[::2], states[1::2])
    ]
    assert len(moved) == 4
    for index, names in enumerate(moved):
        assert names and names <= owners[index % 2]
    assert moved[2] - owners[1] and moved[3] - owners[0]  # both branches had momentum by then


def test_training_lowers_the_loss_of_answers(language_model, texts):
    adapters = BranchingLoRA(language_model, TREE, rank=4)
    before = float(answer_loss(adapters, "dfs", texts["dfs"], encode).detach())
    fit_text(adapters, {"dfs": texts["dfs"]}, encode, steps=40, lr=5e-3)
    assert float(answer_loss(adapters, "dfs", texts["dfs"], encode).detach()) < before - 0.1


def test_only_answers_count_and_padding_changes_nothing(language_model):
    short, long = Text("ab", "cd"), Text("abcdef", "ghijkl")
    found, mask, labels = token_batch([short, long], encode, "cpu")
    assert found.shape == (2, 12) and mask.sum(1).tolist() == [4, 12]
    assert labels[0].tolist() == [-100, -100, *b"cd"] + [-100] * 8
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    with torch.no_grad():
        alone = [float(answer_loss(adapters, "dfs", [text], encode)) * len(text.answer) for text in (short, long)]
        together = float(answer_loss(adapters, "dfs", [short, long], encode)) * 8
    assert together == pytest.approx(sum(alone), rel=1e-5)


def test_gradients_predict_margins_nearby_to_first_order(language_model, texts):
    language_model.double()
    adapters = BranchingLoRA(language_model, TREE, rank=2, alpha=2.0)
    with torch.no_grad():
        for name, value in adapters.named_parameters():
            if name.endswith("B"):
                nn.init.normal_(value, std=0.1, generator=torch.Generator().manual_seed(0))
    text = texts["dfs"][:1]
    names = adapters.parameter_names("dfs", layer=1)
    features = text_gradient_features(adapters, "dfs", text, encode, layer=1, dim=12, rows=5)
    projection = RandomProjection(parameter_count(adapters, names), 12, seed=0)
    errors = []
    direction = torch.randn(12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for size in (1e-1, 1e-2):  # no smaller: the model's normalisation is in single precision whatever it is given
        moved = adapted_parameters(adapters, size * direction, projection=projection, parameters=names)
        saved = {name: value.detach().clone() for name, value in adapters.named_parameters()}
        adapters.load_state_dict(moved, strict=False)
        exact = text_gradient_features(adapters, "dfs", text, encode, layer=1, dim=12, rows=5).offsets
        adapters.load_state_dict(saved)
        linear = features.offsets + features.features @ (size * direction)
        errors.append(float((exact - linear).norm()))
    assert errors[1] < errors[0] / 50  # second order: a hundredth


def test_a_search_takes_adapters_of_a_language_model(language_model, texts):
    seen = []

    def make(tasks):
        return BranchingLoRA(language_model, BranchingStructure.shared(tasks, 2), rank=2)

    def train(adapters, layer):
        own = {key for name in adapters.routes for key in adapters.parameter_names(name, layer=layer)}
        chosen = {name: texts[name] for name in adapters.routes}
        fit_text(adapters, chosen, encode, steps=1, lr=1e-2, parameters=sorted(own))
        seen.append((set(adapters.routes), layer))

    def gradients(adapters, name, given, layer):
        return text_gradient_features(adapters, name, given, encode, layer=layer, dim=10, rows=5)

    def alike(affinity, **options):
        best = Partition(affinity.tasks, np.arange(len(affinity.tasks)) // 2, value=0.0)
        return best, (best,)

    tasks = ["bfs", "dfs", "mst_prim"]
    options = {"gradients": gradients, "affinity": {"subsets": 3, "size": 2, "ridge": 1.0}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autobrane, "partition_path", alike)
        found = search(tasks, make, train, lambda name: texts[name][:1], **options)
    assert found.structure.counts == (2, 2)
    assert seen == [(set(tasks), 0), ({"bfs", "dfs"}, 1)]
    with pytest.raises(ValueError, match="gradients must not be given with adapted or features"):
        search(tasks, make, train, texts.get, adapted=True, **options)


def test_answers_are_right_where_the_output_is(language_model):
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    assert 0.0 <= answer_accuracy(adapters, "dfs", [Text("ab", "c | d\n\n")], encode, decode) <= 1.0

    class Oracle:
        def generate(self, input_ids, **options):
            return torch.cat([input_ids, torch.tensor([encode("other steps | d\n\nrest")])], dim=1)

    adapters._model = (Oracle(),)
    assert answer_accuracy(adapters, "dfs", [Text("ab", "c | d\n\n"), Text("ab", "c | e\n\n")], encode, decode) == 0.5


def test_new_adapters_take_the_place_of_earlier_ones(language_model):
    before = language_model(tokens()).logits
    first = BranchingLoRA(language_model, TREE, rank=2)
    with torch.no_grad():
        for value in first.parameters():
            value.fill_(1.0)
    second = BranchingLoRA(language_model, BranchingStructure.separate(TREE.tasks, 1), rank=3)
    torch.testing.assert_close(second("dfs", tokens()), before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"rank": 0}, ValueError, "rank must be at least 1, got 0"),
        ({"alpha": 0.0}, ValueError, "alpha must be finite, above 0"),
        ({"targets": ("nothing",)}, ValueError, "targets must name linear maps in blocks of the model, got nothing"),
        (
            {"structure": BranchingStructure.shared(["a"], 5)},
            ValueError,
            "structure must have at most as many layers as the model has blocks, 4, got 5",
        ),
        ({"model": "gpt"}, TypeError, "model must be a torch module, got str"),
    ],
)
def test_bad_adapters_are_named(language_model, arguments, error, message):
    given = {"model": language_model, "structure": TREE} | arguments
    with pytest.raises(error, match=message):
        BranchingLoRA(given.pop("model"), given.pop("structure"), **given)


def test_bad_training_is_named(language_model, texts):
    adapters = BranchingLoRA(language_model, TREE, rank=2)
    with pytest.raises(ValueError, match="task must be one of bfs, dfs, mst_prim, got 'sort'"):
        adapters("sort", tokens())
    with pytest.raises(ValueError, match=r"data must hold texts for tasks among .* got none for \['sort'\]"):
        fit_text(adapters, {"sort": texts["dfs"]}, encode, steps=1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        fit_text(adapters, texts, encode, steps=0)
    with pytest.raises(ValueError, match=r"parameters must be names of the adapters', got \['weight'\]"):
        fit_text(adapters, texts, encode, steps=1, parameters=["weight"])
