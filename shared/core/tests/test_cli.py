import json
import subprocess
import sys

import jsonschema
import pytest

from reprise.core.record import Run, schema

HEAVY = ("torch", "pandas", "matplotlib", "scipy", "numpy", "pydantic", "joblib", "jinja2", "distributed")


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["run", "--help"]])
def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path, environment, arguments):
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reprise.core", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}
    assert "reprise.core.cli" in imported
    assert imported.isdisjoint(HEAVY)


def test_list_shows_papers_experiments_and_records(command, recorded):
    assert "powers" in command("list").stdout
    (listed,) = [entry for entry in json.loads(command("list", "--json").stdout) if entry["paper"] == "toy"]
    assert listed["experiments"]["powers"] == [{"scale": "laptop", "claims": 4, "reproduced": 2}]
    assert listed["experiments"]["fragile"] == []
    assert "laptop: 2 of 4 claims reproduced" in command("list").stdout
    (recorded / "toy/powers/record.json").write_text("{")
    assert "a damaged record" in command("list").stdout


def test_run_prints_claims_and_paths(command, tmp_path):
    finished = command("run", "toy/powers", "--workers", "1")
    assert finished.returncode == 1  # T3 does not come out, on purpose
    for text in (
        "T1",
        "[n] grow",
        "[/of it]",
        "Theorem 1",
        "✓ reproduced",
        "✗ not reproduced",
        "2 of 4 claims reproduced",
    ):
        assert text in finished.stdout
    for line in finished.stdout.splitlines():
        if line.startswith("  results/"):
            assert (tmp_path / line.strip()).exists()
    results = (tmp_path / "results/toy/RESULTS.md").read_text()
    assert "| T2 | ours beats theirs | Table 1 | direction | 2× |" in results
    assert "sizes from 2 to 16" in results


def test_run_prints_json_that_fits_the_published_schema(command):
    finished = command("run", "toy/powers", "--scale", "smoke", "--workers", "1", "--json")
    run = json.loads(finished.stdout)
    jsonschema.validate(run, schema(Run))
    verdicts = {claim["id"]: claim["verdict"] for claim in run["claims"]}
    assert verdicts["T4"] == "not run at this scale" and verdicts["T3"] == "not reproduced"
    assert finished.returncode == 1


def test_data_of_the_users_folder_is_found_and_a_run_whose_claims_come_out_ends_with_zero(command, tmp_path):
    (tmp_path / "mine/toy").mkdir(parents=True)
    (tmp_path / "mine/toy/numbers.csv").write_text("1")
    finished = command("run", "toy/fragile", "--scale", "paper", "--workers", "1", REPRISE_DATA=str(tmp_path / "mine"))
    assert finished.returncode == 0, finished.stderr
    (listed,) = json.loads(command("data", "toy", "--json", REPRISE_DATA=str(tmp_path / "mine")).stdout)
    assert listed["missing"] == [] and listed["licence"] == "CC0"
    (listed,) = json.loads(command("data", "toy", "--json").stdout)
    assert listed["folder"] is None and listed["missing"] == ["numbers.csv"]


def test_info_shows_claims_settings_and_data(command):
    shown = command("info", "toy").stdout
    assert "T1 [number] values [n] grow as the square [/of it] (paper: 2.0)" in shown and "data at paper: toy" in shown
    described = json.loads(command("info", "toy/powers", "--json").stdout)
    assert described["experiments"][0]["scales"]["smoke"]["sizes"] == [2, 4]


def test_cite_prints_bibtex_or_cff(command):
    assert command("cite", "toy").stdout.startswith("@article{lovelace1843")
    assert command("cite", "toy", "--cff").stdout.startswith("cff-version: 1.2.0")
    assert json.loads(command("cite", "toy", "--json").stdout)["format"] == "bibtex"


def test_verify_agrees_with_itself_and_notices_a_difference(command, recorded):
    finished = command("verify", "results/toy/powers", "--workers", "1")
    assert finished.returncode == 0 and "agrees, largest relative difference 0.0e+00" in finished.stdout
    path = recorded / "toy/powers/record.json"
    record = json.loads(path.read_text())
    record["seed"] = 1
    record["claims"][0]["verdict"] = "not reproduced"
    record["claims"][1]["measured"] = 7.0
    path.write_text(json.dumps(record))
    finished = command("verify", "results/toy/powers", "--workers", "1", "--json")
    assert finished.returncode == 1
    (found,) = json.loads(finished.stdout)
    assert not found["agrees"]
    assert "claim T1: verdict recorded not reproduced, now reproduced" in found["differing"]
    assert any(sentence.startswith("claim T2: measured recorded 7 [") for sentence in found["differing"])
    assert any(sentence.startswith("column value: a relative difference") for sentence in found["differing"])


def test_doctor_finds_a_paper_that_cannot_be_loaded(command, tmp_path):
    healthy = json.loads(command("doctor", "--json").stdout)
    assert "toy" in healthy["papers"] and healthy["versions"]["numpy"]
    assert not any(problem.startswith("toy") for problem in healthy["problems"])
    broken = tmp_path / "broken-0.1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.4\nName: broken\nVersion: 0.1\n")
    (broken / "entry_points.txt").write_text("[reprise.papers]\nbroken = reprise.broken.paper:PAPER\n")
    finished = command("doctor", PYTHONPATH=str(tmp_path))
    assert finished.returncode == 2
    assert "problem: broken: RepriseError: the package of broken cannot be loaded" in finished.stdout
    assert "cannot be loaded" in command("list", PYTHONPATH=str(tmp_path)).stdout


def test_reprise_alone_shows_its_help(command):
    finished = command()
    assert finished.returncode == 0 and finished.stdout.strip() == command("--help").stdout.strip()


def test_sub_commands_of_packages_are_shown_and_run(command):
    shown = command("--help").stdout
    assert "toy" in shown and "A toy paper" in shown
    assert command("toy", "double", "4").stdout == "8.0\n"
    assert "Print half a number." in command("toy", "--help").stdout


def test_readme_gets_the_table_of_claims(command, tmp_path, recorded):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- claims -->\nold\n<!-- /claims -->\nafter\n")
    assert command("readme", "README.md", "results/toy").returncode == 0
    text = readme.read_text()
    assert "| T1 | values [n] grow as the square [/of it] |" in text and "old" not in text
    assert text.startswith("before\n") and text.endswith("after\n")
    readme.write_text("no marks")
    assert "has no lines <!-- claims -->" in command("readme", "README.md", "results/toy").stderr
