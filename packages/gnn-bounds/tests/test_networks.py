import copy
import warnings

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reprise.gnn_bounds import (
    Graph,
    LayerNorms,
    UnifiedGNN,
    compare,
    diffusion_matrix,
    graph_statistics,
    hessian_measure,
    noise_stability,
    prepare,
    with_features,
)
from reprise.gnn_bounds.hessian import matrix_names
from reprise.hvp import Hessian

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch deprecates its own torch.jit, which torch_geometric still calls
    from torch_geometric.data import Data
    from torch_geometric.nn import GCNConv, GINConv, SAGEConv, global_mean_pool


def some_graphs(count=8, seed=0, features=4):
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        graph = nx.gnp_random_graph(int(rng.integers(2, 9)), 0.5, seed=int(rng.integers(10**6)))
        found.append(Graph(graph, rng.standard_normal((len(graph), features)), label=index % 2))
    return found


def trained(model, graphs, steps=30):
    """A copy of the start, and the model after some steps."""
    start = copy.deepcopy(model.state_dict())
    batch, labels = prepare(graphs, kind=model.diffusion).batch(range(len(graphs)), dtype=torch.float64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(batch), labels).backward()
        optimizer.step()
    return start


@pytest.mark.parametrize("kind", ["gcn", "mpgnn", "sage", "gin"])
@pytest.mark.parametrize("share", [True, False])
def test_the_network_is_its_formula_on_every_graph(kind, share):
    graphs = some_graphs()
    model = UnifiedGNN(4, 6, 3, 4, kind, share_weights=share).double()
    batch, _ = prepare(graphs, kind=model.diffusion).batch(range(len(graphs)), dtype=torch.float64)
    relu = lambda values: np.maximum(values, 0)  # noqa: E731
    weights = {name: value.detach().numpy() for name, value in model.named_parameters(remove_duplicate=False)}
    for graph, output in zip(graphs, model(batch).detach().numpy()):
        P, X = diffusion_matrix(graph.adjacency, model.diffusion).toarray(), graph.features
        H = np.zeros((graph.nodes, 6)) if kind == "mpgnn" else X
        for layer in model.layer_names()[:-1]:
            if layer[0].startswith("inner"):
                H = relu(H @ weights[layer[0]])
                continue
            direct = X @ weights[layer[1]] if len(layer) == 2 else 0.0
            if kind != "mpgnn":
                H = relu(direct + P @ H @ weights[layer[0]])
            else:
                H = relu(direct + np.tanh(P @ np.tanh(H)) @ weights[layer[0]])
        np.testing.assert_allclose(output, H.mean(0) @ weights["readout"], atol=1e-12)


def test_gcn_equals_torch_geometric():
    graphs = some_graphs()
    model = UnifiedGNN(4, 5, 2, 3, "gcn", share_weights=False).double()
    batch, _ = prepare(graphs).batch(range(len(graphs)), dtype=torch.float64)
    layers = [GCNConv(4, 5, bias=False).double(), GCNConv(5, 5, bias=False).double()]
    for layer, weight in zip(layers, model.neighbour):
        layer.lin.weight.data = weight.data.T.contiguous()
    for index, graph in enumerate(graphs):
        edges = torch.tensor(np.stack(graph.adjacency.nonzero()), dtype=torch.long)
        state = torch.tensor(graph.features)
        for layer in layers:
            state = layer(state, edges).relu()
        torch.testing.assert_close(model(batch)[index], state.mean(0) @ model.readout)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(2, 5), st.integers(0, 10**6), st.integers(0, 3))
def test_a_perturbed_layer_moves_the_output_of_a_gcn_by_no_more_than_the_norms_say(nodes, density, depth, seed, layer):
    """‖Δ output‖ ≤ ‖X‖_F ‖P‖^(l−1) ‖Δ‖₂ Π_{j≠i} s_j / √n, which the per-graph bound with mean features rests on."""
    rng = np.random.default_rng(seed)
    graph = Graph(nx.gnp_random_graph(nodes, density, seed=seed), rng.standard_normal((nodes, 3)), label=0)
    generator = torch.Generator().manual_seed(seed)
    model = UnifiedGNN(3, 4, 2, depth, "gcn", share_weights=False, generator=generator).double()
    batch, _ = prepare([graph]).batch([0], dtype=torch.float64)
    norms = LayerNorms.from_model(model)
    stats = graph_statistics([graph])
    parameters = [*model.neighbour, model.readout]
    layer = min(layer, depth - 1)
    change = torch.randn(parameters[layer].shape, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        before = model(batch)
        parameters[layer] += change
        moved = float((model(batch) - before).norm())
    others = np.delete(norms.spectral, layer).prod()
    allowed = stats.feature_mean[0] * stats.spectral[0] ** (depth - 1) * others
    allowed *= float(torch.linalg.matrix_norm(change, 2))
    assert moved <= allowed * (1 + 1e-9) + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 10), st.integers(3, 5), st.integers(0, 10**6))
def test_an_mpgnn_sees_one_power_of_the_diffusion_less(nodes, depth, seed):
    """‖output‖ ≤ ‖X‖_F/√n s_l u Σ_{k ≤ l−2} (‖A‖ w)^k: neighbours enter from the second round on."""
    rng = np.random.default_rng(seed)
    graph = Graph(nx.gnp_random_graph(nodes, 0.5, seed=seed), rng.standard_normal((nodes, 3)), label=0)
    model = UnifiedGNN(3, 4, 2, depth, "mpgnn", generator=torch.Generator().manual_seed(seed)).double()
    batch, _ = prepare([graph], kind="adjacency").batch([0], dtype=torch.float64)
    norms, stats = LayerNorms.from_model(model), graph_statistics([graph], "adjacency")
    ratio = stats.spectral[0] * norms.neighbour[0]
    total = stats.feature_mean[0] * norms.own[0] * sum(ratio**k for k in range(depth - 1)) * norms.spectral[-1]
    assert float(model(batch).detach().norm()) <= total * (1 + 1e-9)


def test_at_depth_two_an_mpgnn_does_not_see_the_graph():
    X = np.random.default_rng(0).standard_normal((6, 3))
    pair = [Graph(nx.complete_graph(6), X, label=0), Graph(nx.empty_graph(6), X, label=0)]
    model = UnifiedGNN(3, 4, 2, 2, "mpgnn").double()
    batch, _ = prepare(pair, kind="adjacency").batch([0, 1], dtype=torch.float64)
    torch.testing.assert_close(*model(batch))


def test_shared_weights_count_once_for_each_use():
    model = UnifiedGNN(3, 4, 2, 5, "mpgnn")
    norms = LayerNorms.from_model(model)
    assert len(norms) == 5 and len(set(norms.names)) == 2
    W, U = model.neighbour[0].detach(), model.own[0].detach()
    expected = max(float(torch.linalg.matrix_norm(part, 2)) for part in (W, U))
    np.testing.assert_allclose(norms.spectral[:4], expected, rtol=1e-6)


def exact_forms(model, start, graphs, positive):
    """vᵀH_n⁺v by the dense Hessian of every graph and layer."""
    rows = []
    for graph in graphs:
        batch = prepare([graph], kind=model.diffusion).batch([0], dtype=torch.float64)
        row = []
        for name in matrix_names(model):
            parameter = model.get_parameter(name)
            operator = Hessian(model, nn.functional.cross_entropy, [batch], parameters=[name], check=False)
            values, vectors = torch.linalg.eigh(operator.dense())
            v = (parameter.detach() - start[name]).flatten()
            values = values.clamp_min(0) if positive else values
            row.append(float((values * (vectors.T @ v) ** 2).sum()))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "share", "method"),
    [
        ("gcn", False, "gauss-newton"),
        ("gin", False, "gauss-newton"),
        ("mpgnn", True, "positive"),
        ("gcn", True, "positive"),
        ("sage", True, "hessian"),
    ],
)
def test_the_hessian_measure_equals_dense_hessians(kind, share, method):
    graphs = some_graphs(6)
    model = UnifiedGNN(4, 3, 2, 4, kind, share_weights=share).double()
    start = trained(model, graphs)
    found = hessian_measure(model, start, graphs, method=method, steps=40)
    forms = exact_forms(model, start, graphs, positive=method != "hessian").clamp_min(0)
    torch.testing.assert_close(found.per_graph, forms, rtol=1e-6, atol=1e-9)
    value = (found.loss_bound * forms.amax(0) / len(graphs)).sqrt().sum()
    assert found.value == pytest.approx(float(value), rel=1e-6)
    assert found.terms.sum() == pytest.approx(found.value)


def test_auto_takes_the_gauss_newton_matrix_only_where_it_is_exact():
    graphs = some_graphs(4)
    for share, expected in ((False, "gauss-newton"), (True, "positive")):
        model = UnifiedGNN(4, 3, 2, 4, share_weights=share).double()
        start = copy.deepcopy(model.state_dict())
        assert hessian_measure(model, start, graphs).method == expected
        assert hessian_measure(model, start, graphs).value == 0.0  # nothing has moved


def test_noise_stability_is_half_sigma_squared_times_the_trace():
    graphs = some_graphs(5)
    model = UnifiedGNN(4, 3, 2, 3, "mpgnn", activation="tanh").double()
    trained(model, graphs)
    batch = prepare(graphs, kind="adjacency").batch(range(5), dtype=torch.float64)
    exact = float(Hessian(model, nn.functional.cross_entropy, [batch], check=False).dense().trace())
    found = noise_stability(model, graphs, sigma=1e-3, samples=400, generator=0)
    assert abs(found.trace - exact) < 4 * 2 * found.stderr / 1e-6 + 1e-4 * abs(exact)


class Sage(nn.Module):
    def __init__(self, convolution):
        super().__init__()
        self.first, self.second = convolution(4, 6), convolution(6, 6)
        self.out = nn.Linear(6, 2)

    def forward(self, x, edge_index, batch):
        state = self.second(self.first(x, edge_index).relu(), edge_index).relu()
        return self.out(global_mean_pool(state, batch))


def gin(inputs, outputs):
    return GINConv(nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs)))


@pytest.mark.parametrize(("convolution", "layers"), [(GCNConv, 3), (SAGEConv, 3), (gin, 5)])
def test_compare_takes_networks_of_torch_geometric(convolution, layers):
    graphs = some_graphs(10)
    model = Sage(convolution)
    start = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    assert len(LayerNorms.from_model(model)) == layers
    data = [
        Data(
            x=torch.tensor(graph.features, dtype=torch.float32),
            edge_index=torch.tensor(np.stack(graph.adjacency.nonzero()), dtype=torch.long),
            y=torch.tensor([graph.label]),
        )
        for graph in graphs
    ]
    table = compare(model.eval(), data[:8], test=data[8:], initial=start, method="gauss-newton")
    values = table.set_index("quantity")["value"]
    assert {"observed gap", "Ju et al. 2023", "Garg et al. 2020"} <= set(values.index)
    assert (values.drop("observed gap") > 0).all()
    assert values["Ju et al. 2023, per graph"] <= values["Ju et al. 2023"] * (1 + 1e-12)


def test_the_positive_part_of_a_torch_geometric_network_is_found_graph_by_graph():
    graphs = some_graphs(3)
    model = Sage(GCNConv).double().eval()
    start = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    positive = hessian_measure(model, start, graphs, method="positive")
    gauss_newton = hessian_measure(model, start, graphs, method="gauss-newton")
    torch.testing.assert_close(positive.per_graph, gauss_newton.per_graph, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"graphs": []}, ValueError, "at least one graph"),
        ({"graphs": "abc"}, TypeError, "graphs must be a list"),
        ({"graphs": [3]}, ValueError, r"graphs\[0\]"),
        ({"labels": [0, 1]}, ValueError, "labels must have one entry per graph"),
        ({"labels": [0, 1, 7, 0]}, ValueError, "labels must be below"),
        ({"labels": [0, 1, -1, 0]}, ValueError, "labels must not be negative"),
        ({"labels": [0.5, 1, 1, 0]}, TypeError, "labels must be whole numbers"),
        ({"initial": {}}, ValueError, "initial must hold neighbour"),
        ({"initial": 3}, TypeError, "initial must be a module"),
        ({"method": "exact"}, ValueError, "method must be one of"),
        ({"graphs": [nx.path_graph(3)] * 4}, ValueError, r"graphs\[0\] must have features"),
        ({"graphs": some_graphs(4, features=3)}, ValueError, "graphs must have 4 features"),
    ],
)
def test_a_bad_measure_is_refused(change, error, message):
    model = UnifiedGNN(4, 3, 2, 3)
    arguments = {"graphs": some_graphs(4), "labels": [0, 1, 1, 0], "initial": model, "method": "auto"} | change
    with pytest.raises(error, match=message):
        hessian_measure(model, arguments.pop("initial"), arguments.pop("graphs"), **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, "depth must be at least 2"),
        ({"kind": "gat"}, "kind must be one of"),
        ({"width": 0}, "width must be at least 1"),
        ({"pooling": "max"}, "pooling must be one of"),
    ],
)
def test_a_bad_network_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        UnifiedGNN(**({"in_dim": 3, "width": 4, "classes": 2, "depth": 3} | options))


@pytest.mark.parametrize("flag", ["no", 1, None])
def test_a_flag_must_be_true_or_false(flag):
    with pytest.raises(TypeError, match="share_weights must be True or False"):
        UnifiedGNN(3, 4, 2, 3, share_weights=flag)


def test_features_that_do_not_fit_and_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"features must have one row per node \(4\)"):
        Graph(nx.path_graph(4), np.ones((3, 2)))
    with pytest.raises(ValueError, match="features must be finite"):
        Graph(nx.path_graph(2), np.array([[1.0], [np.nan]]))
    model = UnifiedGNN(4, 3, 2, 3)
    with torch.no_grad():
        model.readout[0, 0] = torch.nan
    with pytest.raises(ValueError, match="readout holds weights that are not finite"):
        LayerNorms.from_model(model)


def test_unknown_networks_have_to_say_what_they_are():
    model = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="depth must be given"):
        compare(model, some_graphs(2))
    with pytest.raises(ValueError, match="diffusion must be given"):
        compare(model, some_graphs(2), depth=3)
    with pytest.raises(ValueError, match="the model has no weight 'x'"):
        LayerNorms.from_model(model, ["x"])
    with pytest.raises(TypeError, match="model must be"):
        LayerNorms.from_model("model")


def test_one_hot_degrees_have_a_norm_in_closed_form():
    graphs = with_features([Graph(nx.star_graph(9), label=0), Graph(nx.cycle_graph(25), label=0)])
    stats = graph_statistics(graphs)
    np.testing.assert_allclose(stats.feature_spectral, [3.0, 5.0])
    np.testing.assert_allclose(stats.feature_row, 1.0)
    np.testing.assert_allclose(stats.feature_mean, 1.0)
    np.testing.assert_allclose(stats.feature_spectral, [np.linalg.norm(graph.features, 2) for graph in graphs])
