import json
import math

import jsonschema
import pandas as pd
import pytest

from reprise.core import Claim, RepriseError, at_most, read_record, run_experiment
from reprise.core.record import Record, Run, claim_result, schema
from reprise.core.runner import result_folder, settings_from


@pytest.fixture
def record(toy, tmp_path):
    return run_experiment(toy, "powers", out=tmp_path, workers=1, scale="smoke")


def test_record_is_read_back_as_it_was_written(record, tmp_path):
    folder = result_folder(tmp_path, "powers", "smoke")
    assert read_record(folder) == read_record(folder / "record.json") == record
    assert {p.name for p in folder.iterdir()} >= {"table.csv", "table.parquet", "figure.svg", "figure.png"}


def test_record_says_what_is_needed_to_run_it_again(record, toy):
    assert record.settings == {"sizes": [2, 4], "trials": 2, "exponent": 2.0, "noise": 0.01}
    assert settings_from(toy.experiment("powers"), record.settings) == toy.experiment("powers").settings("smoke")
    assert record.versions["reprise-core"] and record.versions["numpy"]
    assert record.peak_memory_bytes > 1e6 and record.cell_seconds >= 0 and record.machine.cores >= 1
    assert record.cells == record.rows == 4


def test_settings_that_no_longer_fit_are_refused(toy):
    with pytest.raises(RepriseError, match="powers has no setting gone any more"):
        settings_from(toy.experiment("powers"), {"gone": 1})
    with pytest.raises(RepriseError, match="the recorded settings do not fit powers: trials"):
        settings_from(toy.experiment("powers"), {"trials": "many"})


def test_record_and_run_fit_their_published_schemas(record):
    written = json.loads(record.model_dump_json())
    jsonschema.Draft202012Validator.check_schema(schema(Record))
    jsonschema.validate(written, schema(Record))
    run = Run(paper="toy", claims=record.claims, records=[record])
    jsonschema.validate(json.loads(run.model_dump_json()), schema(Run))
    del written["claims"][0]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.validate(written, schema(Record))


def test_published_schema_files_are_those_of_the_models(request):
    folder = request.path.parents[1] / "schema"
    for name, model in (("record", Record), ("run", Run)):
        assert json.loads((folder / f"{name}.schema.json").read_text()) == schema(model)


def test_value_that_could_not_be_measured_is_null(tmp_path):
    claim = Claim("C", "it is so", "Table 1", None, "direction", at_most("x", 1))
    result = claim_result(claim, "e", pd.DataFrame({"x": [math.nan]}))
    assert result.measured is None and result.verdict.value == "not reproduced"
    assert json.loads(result.model_dump_json())["measured"] is None


def test_settings_must_be_a_frozen_dataclass_and_ids_unique(toy):
    from dataclasses import dataclass, replace

    @dataclass
    class Loose:
        trials: int = 1

    experiment = toy.experiment("powers")
    with pytest.raises(ValueError, match="must be a frozen dataclass"):
        replace(experiment, scales={"laptop": Loose()})
    with pytest.raises(ValueError, match="expected names among smoke, laptop, gpu, paper, got 'tiny'"):
        replace(experiment, scales={"tiny": experiment.settings("laptop")})
    with pytest.raises(ValueError, match="data: powers has no scale 'papre'"):
        replace(experiment, data={"papre": ()})
    with pytest.raises(ValueError, match="ids must differ"):
        replace(experiment, claims=[*experiment.claims, experiment.claims[0]])
