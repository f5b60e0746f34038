"""The synthetic city against its formulas, and features of images against scikit-image."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.sparse.csgraph import connected_components
from skimage.feature import local_binary_pattern

from reprise.road_safety import (
    DatasetLayoutError,
    RoadGNN,
    embed_images,
    image_features,
    run_baseline,
    synthetic_city,
    synthetic_states,
    train,
)
from reprise.road_safety.features import adjacency
from reprise.road_safety.images import local_binary_patterns
from reprise.road_safety.synthetic import DISPERSION, any_accident, autoregression, matern_field

YEARS = {"train_years": (2018,), "valid_years": (2019,), "test_years": (2020,)}


@pytest.fixture(scope="module")
def city():
    return synthetic_city(nodes=400, seed=3)


def test_the_graph_is_connected_and_has_the_degree_of_a_city(city):
    data = city.dataset
    assert data.num_edges == round(400 * 1.4)
    assert connected_components(adjacency(data.edge_index, 400))[0] == 1
    assert len(np.unique(np.sort(data.edge_index, axis=0), axis=1).T) == data.num_edges


def test_streets_cross_only_at_junctions(city):
    from shapely import LineString, STRtree

    lines = [LineString(line) for line in city.dataset.streets]
    left, right = STRtree(lines).query(lines, predicate="crosses")
    assert len(left) == len(right) == 0


def test_the_expected_share_of_months_with_an_accident_is_the_wanted_one(city):
    assert any_accident(city.rate).mean() == pytest.approx(0.035, abs=1e-9)
    # 36 months of 560 segments: far from what chance, with its overdispersion, would leave.
    assert (city.dataset.counts.toarray() > 0).mean() == pytest.approx(0.035, abs=0.005)


def test_any_accident_is_what_a_negative_binomial_says():
    from scipy.stats import nbinom

    rate = np.array([0.01, 0.3, 2.0])
    assert np.allclose(any_accident(rate), 1 - nbinom.pmf(0, DISPERSION, DISPERSION / (DISPERSION + rate)))


def test_effects_are_those_put_in(city):
    relative = {name: effect.relative for name, effect in city.effects.items()}
    assert relative == pytest.approx({"motorway": 0.22, "rain": 0.24, "winter": np.exp(0.25) - 1})
    for effect in city.effects.values():
        assert np.allclose(city.rate, np.where(effect.treated, effect.rate_treated, effect.rate_control))
        assert 0 < effect.att_any < effect.att
    assert city.effects["winter"].treated.mean() == pytest.approx(0.25)
    assert city.effects["rain"].treated.mean() == pytest.approx(0.5)
    assert city.effects["motorway"].treated[0].sum() == round(0.04 * 560)


def test_counts_vary_as_a_negative_binomial_does():
    rate = synthetic_city(nodes=400, positive_rate=0.4, seed=5)
    y, mu = rate.dataset.counts.toarray(), rate.rate
    shape = (mu**2).sum() / ((y - mu) ** 2 - mu).sum()
    assert shape == pytest.approx(DISPERSION, rel=0.15)  # 20,160 counts


def test_the_residual_has_the_covariance_of_its_precision():
    # A path of three segments: D = diag(1, 2, 1), W joins neighbours.
    edge_index = np.array([[0, 1, 2], [1, 2, 3]])
    precision = np.diag([1.0, 2.0, 1.0]) - 0.9 * np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    generator = np.random.default_rng(0)
    drawn = np.array([autoregression(edge_index, 4, generator) for _ in range(1000)])
    # Draws are standardised, which for three segments leaves a shape: compare the mean of what the precision implies.
    raw = generator.multivariate_normal(np.zeros(3), np.linalg.inv(precision), 100_000)
    expected = (raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True)
    assert np.allclose(np.cov(drawn.T), np.cov(expected.T), atol=0.12)  # four standard errors of 1,000 draws


def test_fields_are_smooth():
    data = synthetic_city(nodes=300, years=(2020,), seed=2).dataset
    A = adjacency(data.edge_index, 300)
    laplacian = np.diag(np.asarray(A.sum(axis=1)).ravel()) - A.toarray()
    from scipy import sparse

    field = matern_field(sparse.csr_array(laplacian), 0.05, np.random.default_rng(0), 1)[0]
    u, v = data.edge_index
    assert ((field[u] - field[v]) ** 2).mean() < 0.5  # 2 for independent values


def test_tiles_show_the_surface_on_the_roads_and_land_use_around(city):
    tiles = city.tiles.astype(float)
    middle = tiles[:, 15:17, 15:17].mean(axis=(1, 2, 3))
    assert np.corrcoef(middle, city.surface)[0, 1] > 0.9
    green = (tiles[..., 1] > tiles[..., 0] + 20).mean(axis=(1, 2))
    assert np.corrcoef(green, -city.land_use)[0, 1] > 0.8


def test_a_seed_draws_the_same_city_and_another_another():
    first, again, other = (synthetic_city(40, (2020,), seed=np.int64(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.tiles, again.tiles) and np.array_equal(first.rate, again.rate)
    assert not np.array_equal(first.dataset.length, other.dataset.length)


def test_years_may_be_one_a_list_or_an_array():
    drawn = [synthetic_city(30, years, seed=1) for years in (2020, [2020], np.array([2020], dtype=">i4"))]
    assert all(np.array_equal(city.rate, drawn[0].rate) for city in drawn)


def test_states_differ_in_rate_classes_and_traffic():
    states = synthetic_states(nodes=100, years=(2020,), seed=1)
    assert len({state.dataset.name for state in states}) == 5
    rates = [any_accident(state.rate).mean() for state in states]
    assert rates == pytest.approx([0.02, 0.03, 0.04, 0.025, 0.035], abs=1e-9)


def test_existing_methods_run_on_a_synthetic_city(city):
    assert run_baseline(city.dataset, "past_count", **YEARS).metrics["test"]["auroc"] > 0.6


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"nodes": 5}, ValueError, "nodes"),
        ({"nodes": True}, TypeError, "nodes"),
        ({"years": ()}, ValueError, "years"),
        ({"years": (2020, 2019)}, ValueError, "years must be in order"),
        ({"years": "2020"}, TypeError, "years must be an integer"),
        ({"positive_rate": 0.0}, ValueError, "positive_rate"),
        ({"class_shares": (0.5, 0.5, 0.5)}, ValueError, "class_shares"),
        ({"class_shares": (0.5,)}, ValueError, "class_shares"),
        ({"volume_share": 2}, ValueError, "volume_share"),
        ({"seed": -1}, ValueError, "seed"),
    ],
)
def test_bad_input_is_named(change, error, said):
    with pytest.raises(error, match=said):
        synthetic_city(**{"nodes": 30, "years": (2020,)} | change)


def test_patterns_are_those_of_scikit_image(city):
    grey = city.tiles[0][..., 1]
    found = local_binary_patterns(grey[None])[0]
    around = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
    for r in range(1, 31):
        for c in range(1, 31):
            bits = [grey[r + a, c + b] >= grey[r, c] for a, b in around]
            changes = sum(bits[i] != bits[i - 1] for i in range(8))
            assert found[r - 1, c - 1] == (sum(bits) if changes <= 2 else 9)
    # The diagonal points of scikit-image lie on a circle, between pixels: both agree where that makes no difference.
    circle = local_binary_pattern(grey, 8, 1, "uniform")[1:-1, 1:-1]
    assert (circle == found).mean() > 0.5


def test_oriented_gradients_are_those_of_scikit_image():
    from skimage.feature import hog

    # A smooth picture: both take central differences inside; borders differ.
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    grey = 0.5 + 0.3 * np.sin(x / 5 + y / 9) * np.cos(y / 7)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    ours = image_features(rgb[None])[0, 16:48]
    theirs = hog(grey, 8, (16, 16), (2, 2), block_norm="L2", feature_vector=True)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def test_features_take_bytes_and_floats_alike(city):
    given = city.tiles[:5]
    expected = image_features(given)
    assert expected.shape == (5, 64) and np.isfinite(expected).all()
    assert np.allclose(image_features(given / 255), expected)
    assert np.allclose(image_features((given / 255).astype(">f4")[::-1])[::-1], expected, atol=1e-2)
    assert np.allclose(image_features(given.tolist()), expected)
    plain = image_features(np.full((1, 8, 8, 3), 200, dtype=np.uint8))[0]
    assert np.allclose(plain[[0, 1, 2, 58]], 200 / 255) and np.allclose(plain[[3, 4, 5, 12]], 0)


@pytest.mark.parametrize(
    ("images", "error"),
    [
        (np.zeros((2, 8, 8)), ValueError),
        (np.zeros((2, 2, 8, 3)), ValueError),
        (np.full((1, 8, 8, 3), 2.0), ValueError),
        (np.full((1, 8, 8, 3), np.nan), ValueError),
        (np.full((1, 8, 8, 3), "a"), TypeError),
    ],
)
def test_bad_images_are_named(images, error):
    with pytest.raises(error, match="images must"):
        image_features(images)


def test_a_folder_of_images_is_embedded_with_zeros_where_one_is_missing(city, tmp_path):
    for row in (0, 2):
        Image.fromarray(city.tiles[row]).save(tmp_path / f"{row}.png")
    found = embed_images(tmp_path, city.dataset.node_id[:4], size=32)
    assert np.allclose(found[[0, 2]], image_features(city.tiles[[0, 2]])) and not found[[1, 3]].any()

    encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    embedded = embed_images(tmp_path, city.dataset.node_id[:4], encoder, size=16, batch_size=1)
    assert embedded.shape == (4, 2) and embedded[[0, 2]].any() and not embedded[[1, 3]].any()
    with pytest.raises(DatasetLayoutError, match="must hold images"):
        embed_images(tmp_path, [7, 8])
    (tmp_path / "7.png").write_text("no image")
    with pytest.raises(DatasetLayoutError, match=r"7\.png must be an image"):
        embed_images(tmp_path, [7, 8])
    with pytest.raises(ValueError, match="encoder must return"):
        embed_images(tmp_path, [0], lambda pixels: pixels, size=16)


@pytest.mark.parametrize("fusion", ["basic", "gated", "moe"])
def test_an_embedding_of_ones_own_goes_into_training(fusion):
    city = synthetic_city(60, seed=3)
    embedding = image_features(city.tiles)
    embedding[:20] = 0.0  # no image
    data = city.dataset.with_images(embedding)

    def made(node, edge):
        return RoadGNN(node, edge, 8, fusion=fusion, image_dim=64)

    found = train(data, made, **YEARS, epochs=2, history=False)
    without = train(data.with_images(np.zeros_like(embedding)), made, **YEARS, epochs=2, history=False)
    assert found.metrics["test"]["auroc"] != without.metrics["test"]["auroc"]


def test_models_and_images_that_do_not_fit_are_named(city):
    def made(node, edge):
        return RoadGNN(node, edge, 8, fusion="gated", image_dim=64)

    with pytest.raises(ValueError, match=r"image_dim, 64 columns, got none: see RoadDataset\.with_images"):
        train(city.dataset, made, **YEARS)
    with pytest.raises(ValueError, match="got embeddings of 3 columns"):
        train(city.dataset.with_images(np.ones((400, 3))), made, **YEARS)
    with pytest.raises(ValueError, match="embedding must have shape"):
        city.dataset.with_images(np.ones((3, 3)))
    with pytest.raises(ValueError, match="embedding must be finite"):
        city.dataset.with_images(np.full((400, 3), np.nan))
