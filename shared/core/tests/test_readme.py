from reprise.core import Verdict
from reprise.core.context import Context
from reprise.core.runner import make_table
from reprise.core.store import FinishedCell


def test_experiment_of_the_readme_runs_and_is_judged(run_readme):
    experiment = run_readme()["EXPERIMENT"]
    settings = experiment.settings("laptop")
    cells = []
    for cell in experiment.cells(settings):
        rows = experiment.measure(settings, cell, Context("readme/mean", cell))
        cells.append(FinishedCell("", cell, [{**cell, **row} for row in rows], 0.0, 0))
    table = make_table(cells)
    assert {claim.judge(table)[0] for claim in experiment.claims} <= {Verdict.REPRODUCED, Verdict.NOT_REPRODUCED}
    assert experiment.plot(table).axes
