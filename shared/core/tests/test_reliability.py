"""What must hold when things go wrong: kills, full disks, damaged files, other machines, two runs at once."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

TOY = Path(__file__).parent / "toy_paper"
RUN = ("run", "toy/powers", "--workers", "1")
STORE = "results/toy/powers/cells.jsonl"


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results/toy/powers/table.csv").drop(columns="seconds")


def stored(folder: Path) -> dict[str, str]:
    return {json.loads(line)["key"]: line for line in (folder / STORE).read_text().splitlines()}


def wait_for_cells(folder: Path, count: int) -> None:
    for _ in range(2400):
        if (folder / STORE).exists() and len((folder / STORE).read_text().splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"no {count} cells within two minutes")


def one_sentence(finished: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error; also proves that there is nothing else."""
    lines = [line for line in finished.stderr.splitlines() if not line.startswith(("powers:", "fragile:"))]
    assert len(lines) == 1 and lines[0].startswith("reprise: "), finished.stderr
    return lines[0]


@pytest.fixture(scope="module")
def expected(undisturbed):
    """The table of a run that nothing disturbed."""
    return rows(undisturbed)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_run_keeps_every_finished_cell_and_ends_as_if_undisturbed(command, start, tmp_path, expected, workers):
    running = start(*RUN, "--workers", workers, TOY_SECONDS="0.4")
    wait_for_cells(tmp_path, 3)
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    before = stored(tmp_path)
    assert 3 <= len(before) < 12
    again = command(*RUN, "--workers", workers)
    assert again.returncode == 1
    assert f"{len(before)} of them kept from before" in again.stderr
    after = stored(tmp_path)
    assert {key: after[key] for key in before} == before
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_interrupted_run_says_how_to_go_on(command, start, tmp_path, expected):
    running = start(*RUN, "--workers", "2", TOY_SECONDS="0.4")
    wait_for_cells(tmp_path, 2)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert "the same command goes on from there" in errors and "Traceback" not in errors
    kept = len(stored(tmp_path))
    assert 2 <= kept < 12
    assert f"{kept} of them kept" in command(*RUN).stderr
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_workers_do_not_change_a_number(command, tmp_path, expected):
    for workers in ("2", "3"):
        assert command(*RUN, "--workers", workers, "--fresh").returncode == 1
        pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_dask_cluster_of_two_processes_gives_the_same_numbers(command, tmp_path, environment, expected):
    script = (
        "import sys\n"
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    (tmp_path / "cluster.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, "cluster.py"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as cluster:
        address = cluster.stdout.readline().strip()
        finished = command(*RUN, "--dask", address)
        cluster.stdin.close()
        cluster.wait(120)
    assert finished.returncode == 1, finished.stderr
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_absent_dask_scheduler_is_one_sentence(command):
    finished = command(*RUN, "--dask", "tcp://127.0.0.1:9")
    assert finished.returncode == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in one_sentence(finished)


def test_second_run_into_the_same_folder_is_refused(command, start, tmp_path):
    running = start(*RUN, TOY_SECONDS="5")
    wait_for_cells(tmp_path, 1)
    second = command(*RUN)
    os.killpg(running.pid, signal.SIGINT)
    running.communicate(timeout=120)
    assert second.returncode == 2
    assert "another run is writing into results/toy/powers" in one_sentence(second)
    # The system has freed the folder; what the first run finished is still there.
    assert "of them kept from before" in command(*RUN).stderr
    assert len(stored(tmp_path)) == 12


def test_cut_off_last_line_costs_one_cell(command, tmp_path, recorded, expected):
    store = tmp_path / STORE
    content = store.read_bytes()
    store.write_bytes(content[:-40])
    again = command(*RUN)
    assert "11 of them kept from before" in again.stderr
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)
    assert "12 of them kept from before" in command(*RUN).stderr


def test_damaged_line_in_the_middle_costs_one_cell(command, tmp_path, recorded, expected):
    store = tmp_path / STORE
    lines = store.read_text().splitlines()
    lines[5] = "\x00\x00" + lines[5][2:]
    store.write_text("\n".join(lines) + "\n")
    assert "11 of them kept from before" in command(*RUN).stderr
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_full_disk_is_one_sentence_and_loses_nothing(command, tmp_path, environment, expected):
    def no_more_than_a_kilobyte_per_file() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    finished = subprocess.run(
        [sys.executable, "-m", "reprise.core", *RUN],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=no_more_than_a_kilobyte_per_file,
    )
    assert finished.returncode == 2
    assert "cannot write results/toy/powers/cells.jsonl: File too large" in one_sentence(finished)
    kept = len(stored(tmp_path))
    assert 1 <= kept < 12
    assert (tmp_path / STORE).read_bytes().endswith(b"\n")
    assert f"{kept} of them kept" in command(*RUN).stderr
    pd.testing.assert_frame_equal(rows(tmp_path), expected, check_exact=True)


def test_disk_full_at_the_end_leaves_the_old_record(recorded, tmp_path, environment):
    folder = recorded / "toy/powers"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))

    finished = subprocess.run(
        [sys.executable, "-m", "reprise.core", *RUN],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=small_files,
    )
    assert finished.returncode == 2 and "File too large" in one_sentence(finished)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_folder_that_cannot_be_written_is_one_sentence(command, tmp_path):
    if os.geteuid() == 0:
        # Permissions do not hold root back; the kernel's own file systems do.
        folder = "/proc/reprise"
    else:
        (tmp_path / "closed").mkdir(mode=0o500)
        folder = "closed/results"
    finished = command(*RUN, "--out", folder)
    assert finished.returncode == 2
    assert f"cannot write {folder}/powers" in one_sentence(finished)


def test_file_in_the_place_of_the_folder_is_one_sentence(command, tmp_path):
    (tmp_path / "taken").write_text("")
    finished = command(*RUN, "--out", "taken")
    assert finished.returncode == 2 and "cannot write taken/powers" in one_sentence(finished)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"paper": "toy"}', b"\xff\xfe\x00"])
@pytest.mark.parametrize("verb", ["verify", "report"])
def test_damaged_record_is_one_sentence(command, recorded, damage, verb):
    (recorded / "toy/powers/record.json").write_bytes(damage)
    finished = command(verb, "results/toy/powers")
    assert finished.returncode == 2
    assert "is damaged" in one_sentence(finished)


def test_changed_table_is_noticed(command, recorded):
    table = recorded / "toy/powers/table.csv"
    table.write_text(table.read_text().replace("2,0,", "2,9,", 1))
    finished = command("verify", "results/toy/powers")
    assert finished.returncode == 2 and "is not the table that the record was written with" in one_sentence(finished)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "toi"), "no paper 'toi' is installed; did you mean toy?"),
        (("run", "nothing-like-it"), "no paper 'nothing-like-it' is installed; installed are: "),
        (("run", "toy/power"), "toy has no experiment 'power': choose among powers, fragile"),
        (("run", "toy", "--scale", "huge"), "toy has no scale 'huge': choose among laptop, paper, smoke"),
        (("run", "toy/powers", "--scale", "gpu"), "powers has no scale 'gpu': choose among smoke, laptop"),
        (
            ("run", "toy/fragile", "--scale", "paper"),
            "data set toy lacks numbers.csv: Toy Numbers, the toy owner's page",
        ),
        (("run", "toy/powers", "--device", "tpu"), "device must be auto, cpu or cuda, got 'tpu'"),
        (("run", "toy/powers", "--device", "cuda"), "device cuda was asked for, but toy computes without torch"),
        (("run", "toy/powers", "--workers", "0"), "workers must be at least 1, got 0"),
        (("run", "toy/powers", "--seed", "-1"), "seed must not be negative, got -1"),
        (("run", "toy/powers", "--nonsense"), "No such option: --nonsense"),
        (("cite", "toi"), "did you mean toy?"),
        (("data", "toy", "--fetch"), "lacks numbers.csv"),
        (("verify", "nowhere"), "cannot read the record nowhere"),
        (("report", "nowhere"), "there is no record below nowhere"),
        (("schema", "poem"), "there is no schema 'poem'"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_wrong_call_is_one_sentence_and_status_two(command, arguments, sentence):
    finished = command(*arguments)
    assert finished.returncode == 2
    assert sentence in one_sentence(finished)


def test_debug_shows_the_traceback_and_keeps_the_status(command):
    finished = command("run", "toi", "--debug")
    assert finished.returncode == 2 and "Traceback" in finished.stderr


@pytest.mark.parametrize(
    ("trouble", "workers", "sentence"),
    [
        ("death", "2", "the workers of fragile failed with TerminatedWorkerError"),
        ("nothing", "1", "cell part=1 of fragile failed with TypeError"),
        ("object", "1", "a row of cell {'part': 1} is not made of JSON values"),
        ("mixed", "1", "the rows make no table, a column mixes kinds of values"),
        ("clash", "1", "a row must not repeat columns of its cell: part"),
        ("prepare", "1", "the preparation of fragile failed with ZeroDivisionError: by zero"),
        ("plot", "1", "the figure of fragile failed with ZeroDivisionError: by zero"),
    ],
)
def test_trouble_in_an_experiment_is_one_sentence(command, trouble, workers, sentence):
    finished = command("run", "toy/fragile", "--workers", workers, TOY_TROUBLE=trouble)
    assert finished.returncode == 2
    assert sentence in one_sentence(finished)


def test_what_a_dying_run_left_to_be_cleared_up_is_no_second_sentence():
    code = """
from joblib.externals.loky.backend.resource_tracker import register
from reprise.core.compute import start_silent_tracker
start_silent_tracker()
register("/nothing-of-this-name", "semlock")
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0 and finished.stderr == ""
    loud = subprocess.run(
        [sys.executable, "-c", code.replace("start_silent_tracker()", "")], capture_output=True, text=True, timeout=120
    )
    assert "leaked semlock" in loud.stderr


def test_figure_that_fails_leaves_the_record(command, tmp_path):
    command("run", "toy/fragile", "--workers", "1", TOY_TROUBLE="plot")
    assert (tmp_path / "results/toy/fragile/record.json").exists()


def test_failing_experiment_does_not_hide_the_others(command):
    finished = command("run", "toy", "--workers", "1")
    assert finished.returncode == 2
    assert "✓ reproduced" in finished.stdout and "failed with ZeroDivisionError" in one_sentence(finished)


def test_cells_of_older_code_are_measured_again(command, tmp_path, environment):
    package = tmp_path / "packages"
    shutil.copytree(TOY, package)
    run = ("run", "toy/powers", "--workers", "1", "--scale", "smoke")
    command(*run, PYTHONPATH=str(package))
    assert "4 of them kept" in command(*run, PYTHONPATH=str(package)).stderr
    source = package / "reprise/toy/experiments/powers.py"
    source.write_text(source.read_text().replace("3.0 *", "4.0 *"))
    again = command(*run, PYTHONPATH=str(package))
    assert "kept from before" not in again.stderr
    assert set(pd.read_csv(tmp_path / "results/toy/powers/smoke/table.csv").worse) == {16.0, 64.0}


def test_record_of_kept_cells_keeps_their_provenance(command, recorded):
    path = recorded / "toy/powers/record.json"
    before = json.loads(path.read_text())
    command(*RUN)
    assert json.loads(path.read_text()) == before


def test_folder_of_another_paper_is_refused(command, tmp_path):
    (tmp_path / "mix/other").mkdir(parents=True)
    (tmp_path / "mix/other/record.json").write_text('{"paper": "another"}')
    finished = command(*RUN, "--out", "mix")
    assert finished.returncode == 2 and "mix holds results of another" in one_sentence(finished)


def test_damaged_neighbour_does_not_hide_a_run(command, tmp_path):
    (tmp_path / "results/toy/other").mkdir(parents=True)
    (tmp_path / "results/toy/other/record.json").write_text("{")
    finished = command(*RUN)
    assert finished.returncode == 2
    assert "✓ reproduced" in finished.stdout and "is damaged" in one_sentence(finished)


def test_reader_that_goes_away_is_no_error(tmp_path, environment):
    shown = subprocess.Popen(
        [sys.executable, "-m", "reprise.core", "schema"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown.stdout.close()
    assert shown.wait(60) == 0
    with shown.stderr:
        assert shown.stderr.read() == b""


def test_broken_distribution_elsewhere_is_passed_over(command, tmp_path):
    (tmp_path / "site/foo-1.0.dist-info").mkdir(parents=True)
    finished = command(*RUN, PYTHONPATH=f"{TOY}{os.pathsep}{tmp_path / 'site'}")
    assert finished.returncode == 1, finished.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_failing_cell_is_named_and_the_others_are_kept(command, tmp_path, workers):
    finished = command("run", "toy/fragile", "--workers", workers)
    assert finished.returncode == 2
    assert "cell part=1 of fragile failed with ZeroDivisionError: by zero" in one_sentence(finished)
    assert "Traceback" not in finished.stderr
    if workers == "1":
        assert len((tmp_path / "results/toy/fragile/cells.jsonl").read_text().splitlines()) == 1
