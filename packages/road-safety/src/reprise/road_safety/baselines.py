"""What a traffic engineer would try first: past counts, shrunk counts, regressions, boosted trees.

Each baseline learns from the months of the training years and then scores the segments of any month; those that count
the past go on counting, or stop at the end of the training years.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, PoissonRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reprise.road_safety.dataset import Month, RoadDataset
from reprise.road_safety.errors import ConvergenceWarning
from reprise.road_safety.metrics import NEGATIVES, evaluate, monthly_mean
from reprise.road_safety.shrinkage import ShrunkCounts, overdispersion
from reprise.road_safety.training import METRICS, SPLITS, Inputs, TrainResult, check_years
from reprise.road_safety.validation import integer, one_of

Scorer = Callable[[int], np.ndarray]
# Per positive row so many others are kept for regressions on single months: all weights are then restored.
_NEGATIVES_KEPT = 4


def run_baseline(
    dataset: RoadDataset,
    name: str,
    train_years: Sequence[int],
    valid_years: Sequence[int],
    test_years: Sequence[int],
    *,
    history: bool = True,
    negatives: str = "all",
    seed: int = 0,
) -> TrainResult:
    """Fit a baseline and judge it as `train` judges a network.

    Parameters
    ----------
    dataset : RoadDataset
    name : str
        One of `BASELINES`: ``length``; ``past_count`` (mean of all months before), ``past_count_frozen``
        (of the training years); ``empirical_bayes``; ``logistic``, ``poisson_glm``, ``negative_binomial``,
        ``gradient_boosting``.
    train_years, valid_years, test_years : sequences of int
    history : bool
        Whether regressions and trees see past accidents.
    negatives : {"all", "official"}
    seed : int
        Of the trees, and of the rows that regressions are fitted on.

    Returns
    -------
    TrainResult

    Raises
    ------
    LeakageError, ValueError, TypeError
    """
    one_of("name", name, tuple(BASELINES))
    one_of("negatives", negatives, NEGATIVES)
    seed = integer("seed", seed, minimum=0)
    check_years(train_years, valid_years, test_years)
    inputs = Inputs(dataset, train_years, history)
    rows = {split: dataset.rows_of(years) for split, years in zip(SPLITS, (train_years, valid_years, test_years))}
    score = BASELINES[name](inputs, rows["train"], seed)
    per_month: dict[str, list[dict[str, float]]] = {}
    skipped: list[Month] = []
    for split in SPLITS:
        per_month[split] = []
        for row in rows[split]:
            year, month = dataset.months[row]
            counts = dataset.counts[[row]].toarray()[0]
            values = evaluate(score(int(row)), counts, negatives, edge_index=dataset.edge_index)
            per_month[split].append({"year": year, "month": month, **values})
            if np.isnan(values["auroc"]):
                skipped.append((year, month))
    metrics = {split: {key: monthly_mean(part, key) for key in METRICS} for split, part in per_month.items()}
    return TrainResult(metrics, per_month, seed, 0, skipped)


def edge_table(inputs: Inputs, row: int) -> np.ndarray:
    """Return features of the segments of a month: sum and difference of both ends, and their own, (E, 2p + q)."""
    x, z = (part.numpy().astype(np.float64) for part in inputs.month(row))
    u, v = inputs.dataset.edge_index
    return np.concatenate([x[u] + x[v], np.abs(x[u] - x[v]), z], axis=1)


def length(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Longer segments have more accidents."""
    found = np.nan_to_num(inputs.dataset.length, nan=0.0)
    return lambda row: found


def past_count(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """The mean of all months before."""
    counts = inputs.counts.toarray()
    total = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])
    return lambda row: total[row] / max(row, 1)


def past_count_frozen(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """The mean of the training months."""
    mean = np.asarray(inputs.counts[train].sum(axis=0)).ravel() / len(train)
    return lambda row: mean


def empirical_bayes(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Past counts, shrunk towards what segments of this kind have (Hauer 1997; the Highway Safety Manual).

    Notes
    -----
    A Poisson regression on the static features gives the expected count μ of a segment's training months; with
    overdispersion φ by moments the estimate for a month is that of `ShrunkCounts` over the months before.
    """
    table = edge_table(inputs, int(train[0]))[:, : _static_columns(inputs)]
    y = np.asarray(inputs.counts[train].sum(axis=0)).ravel().astype(float)
    model = _fitted(make_pipeline(StandardScaler(), PoissonRegressor(alpha=1e-4, max_iter=1000)), table, y)
    mu = np.maximum(model.predict(table), 1e-9)
    phi = overdispersion(y, mu)
    counts = inputs.counts.toarray()
    total = np.concatenate([np.zeros((1, counts.shape[1])), np.cumsum(counts, axis=0)])

    def score(row: int) -> np.ndarray:
        months = max(row, 1)
        return ShrunkCounts(total[row], mu * months / len(train), phi).expected / months

    return score


def logistic(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Logistic regression of "any accident"."""
    X, y, weight = _rows(inputs, train, seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    _fitted(model, X, y > 0, logisticregression__sample_weight=weight)
    return lambda row: model.predict_proba(edge_table(inputs, row))[:, 1]


def poisson_glm(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Poisson regression of the count."""
    X, y, weight = _rows(inputs, train, seed)
    model = make_pipeline(StandardScaler(), PoissonRegressor(alpha=1e-4, max_iter=1000))
    _fitted(model, X, y, poissonregressor__sample_weight=weight)
    return lambda row: model.predict(edge_table(inputs, row))


def negative_binomial(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Negative binomial regression of the count, overdispersion by moments from a Poisson fit."""
    import statsmodels.api as sm

    X, y, weight = _rows(inputs, train, seed)
    scaler = StandardScaler().fit(X)
    varying = X.std(axis=0) > 1e-9
    scaled = scaler.transform(X)[:, varying]
    columns = _independent_columns(scaled)
    design = sm.add_constant(scaled[:, columns], has_constant="add")
    first = sm.GLM(y, design, sm.families.Poisson(), freq_weights=weight).fit()
    mu = np.clip(first.fittedvalues, 1e-9, None)
    phi = max(float((weight * ((y - mu) ** 2 - mu)).sum() / (weight * mu**2).sum()), 1e-3)
    model = sm.GLM(y, design, sm.families.NegativeBinomial(alpha=phi), freq_weights=weight).fit()

    def score(row: int) -> np.ndarray:
        given = scaler.transform(edge_table(inputs, row))[:, varying][:, columns]
        return np.asarray(np.exp(np.clip(sm.add_constant(given, has_constant="add") @ model.params, -30, 10)))

    return score


def gradient_boosting(inputs: Inputs, train: np.ndarray, seed: int) -> Scorer:
    """Boosted trees for "any accident"."""
    X, y, weight = _rows(inputs, train, seed)
    model = HistGradientBoostingClassifier(random_state=seed).fit(X, y > 0, sample_weight=weight)
    return lambda row: model.predict_proba(edge_table(inputs, row))[:, 1]


BASELINES: dict[str, Callable[[Inputs, np.ndarray, int], Scorer]] = {
    "length": length,
    "past_count": past_count,
    "past_count_frozen": past_count_frozen,
    "empirical_bayes": empirical_bayes,
    "logistic": logistic,
    "poisson_glm": poisson_glm,
    "negative_binomial": negative_binomial,
    "gradient_boosting": gradient_boosting,
}


def _static_columns(inputs: Inputs) -> int:
    """Columns of the ends: they come first, and but for the weather do not change."""
    return 2 * inputs.in_node


def _rows(inputs: Inputs, train: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of all training months: every one with an accident, and some of the others with the weight of all."""
    generator = np.random.default_rng(seed)
    tables, counts, weights = [], [], []
    for row in train:
        y = inputs.counts[[int(row)]].toarray()[0].astype(float)
        ones, zeros = np.flatnonzero(y > 0), np.flatnonzero(y == 0)
        kept = generator.choice(zeros, min(len(zeros), max(_NEGATIVES_KEPT * len(ones), 50)), replace=False)
        chosen = np.concatenate([ones, kept])
        tables.append(edge_table(inputs, int(row))[chosen])
        counts.append(y[chosen])
        weights.append(np.concatenate([np.ones(len(ones)), np.full(len(kept), len(zeros) / len(kept))]))
    return np.concatenate(tables), np.concatenate(counts), np.concatenate(weights)


def _independent_columns(X: np.ndarray) -> np.ndarray:
    """Columns that are no combination of those before them, by a pivoted QR decomposition."""
    from scipy.linalg import qr

    _, r, pivot = qr(X - X.mean(axis=0), mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    return np.sort(pivot[: int((diagonal > 1e-8 * diagonal.max()).sum())])


def _fitted(model: Any, X: np.ndarray, y: np.ndarray, **weights: np.ndarray) -> Any:
    from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning

    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always", SklearnConvergenceWarning)
        model.fit(X, y, **weights)
    if any(issubclass(item.category, SklearnConvergenceWarning) for item in raised):
        warnings.warn("a baseline did not converge", ConvergenceWarning, stacklevel=3)
    return model
