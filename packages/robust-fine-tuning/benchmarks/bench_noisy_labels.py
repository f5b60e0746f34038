"""Accuracy and time on TREC with half of the labels replaced, beside what else is done about noisy labels.

Every method fine-tunes the same layer of MiniLM on the same 500 questions, 8 epochs, and is tested on 500 clean ones.
Forward correction and the consistent loss know the confusion matrix; cleanlab estimates which labels are wrong by
cross-validation on the frozen sentence vectors, and the rest is fine-tuned on.
"""

import statistics
import time
from functools import partial

import torch
from cleanlab.filter import find_label_issues
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from torch import nn

from reprise.core import Context
from reprise.core.ratios import write
from reprise.robust_fine_tuning.encoder import HiddenStates, load_minilm, pool, without_padding
from reprise.robust_fine_tuning.experiments.noisy_labels import OURS, Settings, Task, prepare

TRIALS = 3


class ForwardCorrection(nn.Module):
    """Cross-entropy of Fᵀp with the noisy labels (Patrini et al. 2017)."""

    def __init__(self, confusion):
        super().__init__()
        self.register_buffer("confusion", confusion.float())

    def forward(self, logits, noisy):
        return nn.functional.nll_loss((logits.softmax(1) @ self.confusion).clamp_min(1e-12).log(), noisy)


def without_issues(task, last_layer):
    """Leave out the questions whose label cleanlab calls wrong."""
    with torch.no_grad():
        vectors = pool(without_padding(last_layer, task.inputs.hidden, task.inputs.mask), task.inputs.mask)
    noisy = task.noisy.numpy()
    vectors = nn.functional.normalize(vectors).numpy()
    probabilities = cross_val_predict(LogisticRegression(max_iter=1000), vectors, noisy, cv=5, method="predict_proba")
    kept = torch.from_numpy(~find_label_issues(noisy, probabilities, n_jobs=1))
    task.inputs, task.noisy = HiddenStates(task.inputs.hidden[kept], task.inputs.mask[kept]), task.noisy[kept]
    return float((task.noisy != task.clean[kept]).double().mean())


def run(method, task, radius, test, last_layer):
    """Final accuracy (%), seconds, and the share of wrong labels that were trained on."""
    begin = time.perf_counter()
    wrong = float((task.noisy != task.clean).double().mean())
    loss, name = None, "plain"
    if method == "label smoothing 0.1":
        loss = partial(nn.functional.cross_entropy, label_smoothing=0.1)
    elif method == "forward correction":
        loss = ForwardCorrection(task.confusion)
    elif method == "cleanlab":
        wrong = without_issues(task, last_layer)
    elif method != "plain":
        name = method
    history = task.fine_tune(name, radius, test, "cpu", loss=loss)
    return 100 * history.column("validation_accuracy")[-1], time.perf_counter() - begin, wrong


if __name__ == "__main__":
    torch.set_num_threads(1)
    context = Context("robust-fine-tuning/noisy-labels", {})
    settings = Settings(noises=("symmetric",))
    prepared = prepare(settings, context)
    radius, test = prepared.radii["symmetric"], (prepared.questions.test, prepared.questions.test_labels)
    last_layer = load_minilm().layers[5]
    methods = ["plain", "label smoothing 0.1", "forward correction", "cleanlab", "constraint", "consistent", OURS]
    found = {method: [] for method in methods}
    for trial in range(TRIALS):
        for method in methods:
            task = Task(settings, prepared.questions, "symmetric", context.shared_seed("task", trial))
            found[method].append(run(method, task, radius, test, last_layer))
    ours = [accuracy for accuracy, _, _ in found[OURS]]
    results = []
    for method, runs in found.items():
        accuracies = [accuracy for accuracy, _, _ in runs]
        row = {
            "work": "TREC, 50 % of the labels replaced",
            "method": method,
            "accuracy": statistics.mean(accuracies),
            "lowest": min(accuracies),
            "highest": max(accuracies),
            "points_below_ours": statistics.mean(a - b for a, b in zip(ours, accuracies)),
            "wrong_labels_trained_on": statistics.mean(wrong for _, _, wrong in runs),
            "time_to_ours": statistics.median(
                seconds / reference for (_, seconds, _), (_, reference, _) in zip(runs, found[OURS])
            ),
        }
        if method != OURS:
            row["p_of_paired_t"] = float(stats.ttest_rel(ours, accuracies).pvalue)
        print(", ".join(f"{key} {value:.3g}" if isinstance(value, float) else str(value) for key, value in row.items()))
        results.append(row)
    results.append({"radius": radius, "head_radius": settings.head_radius, "trials": TRIALS})
    write(__file__, results, libraries=("cleanlab", "scikit-learn", "torch"))
