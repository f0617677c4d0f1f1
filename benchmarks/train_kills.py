"""Kill a training N times at random moments of the real command line; then hold its bytes against a run never killed.

    python -m benchmarks.train_kills --kills 20 --folder bench_kills --page docs/robustness.md

The folder keeps the simulated cohort and the prepared evidence, so that a second run measures kills alone. Every kill
is SIGKILL of the process group, at a moment drawn evenly over the time that an unkilled training takes. States are
kept after every step here, so that many kills fall in the midst of a fit or of writing its state.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.section import machine, write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.public import public_key
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.training.runlog import events_of, runs_of

TITLE = "A training that is killed"
TRAIN = "folds = 2\n[train]\nepochs = 2\nbatch = 16\nthreads = 1\n"


def main() -> None:
    """Run, kill, compare, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--cases", type=int, default=160)
    asked.add_argument("--modalities", default="ct,xray,eeg,record")
    asked.add_argument("--seed", type=int, default=5)
    asked.add_argument("--keep-every", type=float, default=0.0, help="seconds between two states of a fit")
    asked.add_argument("--folder", type=Path, required=True, help="where cohort, cache and models go")
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    folder: Path = given.folder
    _cohort(folder, given.cases, tuple(given.modalities.split(",")), given.seed)
    command = _command(folder, given.keep_every)
    _run(command, folder / "warm")  # fills the cache
    began = time.monotonic()
    _run(command, folder / "whole")
    whole_s = time.monotonic() - began
    rng = np.random.default_rng(given.seed)
    killed, early = 0, 0
    while killed < given.kills:
        # Of an unkilled run: those that have little left may be done before, which is told apart.
        if _run(command, folder / "killed", float(rng.uniform(0.1, 0.9) * whole_s)) == -signal.SIGKILL:
            killed += 1
        else:
            early += 1
            _fresh(folder / "killed")
    began = time.monotonic()
    code = _run(command, folder / "killed")
    last_s = time.monotonic() - began
    same = _files(folder / "whole") == _files(folder / "killed")
    text = _page(given, killed, early, whole_s, last_s, same and code == 0, folder)
    if given.page:
        write_section(given.page, TITLE, text)
    print(text)
    if not same:
        raise SystemExit(1)


def _cohort(folder: Path, cases: int, modalities: tuple[str, ...], seed: int) -> None:
    if (folder / "cohort" / "cohort.json").is_file():
        return
    files = folder / "files"
    write_cohort(files, cases=cases, seed=seed, modalities=modalities, workers=2)
    with (files / "task.toml").open("a", encoding="utf-8") as task:
        task.write(TRAIN)
    ingest(files, folder / "cohort", key=public_key(folder / "key"))


def _command(folder: Path, keep_every: float) -> list[str]:
    made = [sys.executable, "-m", "clinic_mm.cli", "train", str(folder / "cohort"), "--json"]
    made += ["--task", str(folder / "files" / "task.toml"), "--cache", str(folder / "cache"), "--workers", "1"]
    return [*made, "--keep-every", str(keep_every), "--runs", str(folder / "runs"), "--out"]


def _run(command: list[str], out: Path, kill_after_s: float | None = None) -> int:
    """Exit code; negative where it was killed."""
    with subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, start_new_session=True) as process:  # noqa: S603
        try:
            return process.wait(kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def _fresh(model: Path) -> None:
    for path in model.iterdir() if model.is_dir() else ():
        path.unlink()


def _files(model: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(model.iterdir())}


def _page(
    given: argparse.Namespace, killed: int, early: int, whole_s: float, last_s: float, same: bool, folder: Path
) -> str:
    runs = runs_of(folder / "runs")
    states = {state: sum(run["state"] == state for run in runs) for state in ("finished", "killed", "failed")}
    again = [sum(e["event"] in ("taken again", "goes on") for e in events_of(folder / "runs", r["run"])) for r in runs]
    midst = sum(any(e["event"] == "goes on" for e in events_of(folder / "runs", r["run"])) for r in runs)
    words = "equal byte for byte, every file of the artifact" if same else "NOT EQUAL"
    return "\n".join(
        [
            f"`clinic-mm train` of {given.cases} SIMULATED cases with {given.modalities}, 2 folds, 2 epochs a network,",
            f"killed (SIGKILL, the whole process group) at random moments, then let finish; on {machine()}.",
            "",
            "| | |",
            "|---|---|",
            f"| kills | {killed} |",
            f"| attempts that were done before their kill, and begun afresh | {early} |",
            f"| attempts that went on in the midst of a fit | {midst} |",
            f"| most fits and heads taken again by one attempt | {max(again)} |",
            f"| a run that is never killed, s | {whole_s:.0f} |",
            f"| the last attempt, s | {last_s:.0f} |",
            f"| log: finished, killed, failed | {states['finished']}, {states['killed']}, {states['failed']} |",
            f"| model against that of the run never killed | {words} |",
            "",
            f"Command: `python -m benchmarks.train_kills --kills {given.kills} --folder bench_kills "
            "--page docs/robustness.md`",
            "",
        ]
    )


if __name__ == "__main__":
    main()
