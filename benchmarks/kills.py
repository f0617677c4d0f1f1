"""Kill the real command at random moments, again and again; then compare its run with one that was not killed.

    python -m benchmarks.kills --kills 200 --page docs/robustness.md

Whatever lies in the run folder is what SIGKILL left. A simulated cohort and a model without networks. Every third kill
comes at any moment of a start; the others within a moment of the end of some unit, where most is being written.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.section import machine, write_section

UNIT = 4
START_S = 6.0
"""A start takes about so long, on an idle core."""


@dataclass(slots=True)
class Killing:
    """What is killed, how often, and what was seen.

    Attributes:
        left: In what state kills left the run.
        wrong: How runs that came to their end differ from one that was not killed.
        ended: Runs that came to their end.
    """

    model: Path
    cohort: Path
    root: Path
    kills: int
    workers: int = 2
    engine: str = "local"
    seed: int = 6
    left: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    ended: int = 0

    def run(self) -> None:
        """Kill as often as asked, and let the last run come to its end."""
        rng, kills = random.Random(self.seed), 0  # noqa: S311 - moments, no secrets
        whole, hurt = self.root / "whole", self.root / "hurt"
        once(self._command(whole), whole)
        while kills < self.kills:
            anywhere = kills % 3 == 0
            moment = (
                Moment(0, rng.uniform(0.1, START_S)) if anywhere else Moment(rng.randint(1, 5), rng.uniform(0, 0.3))
            )
            if once(self._command(hurt), hurt, moment):
                self._compare(whole, hurt)
                shutil.rmtree(hurt)
                continue
            kills += 1
            self.left.update(seen(hurt))
        once(self._command(hurt), hurt)
        self._compare(whole, hurt)

    def _compare(self, whole: Path, hurt: Path) -> None:
        self.ended += 1
        self.wrong.update(differences(whole, hurt))

    def _command(self, out: Path) -> list[str]:
        """As an operator types it."""
        words = f"--workers {self.workers} --engine {self.engine} --unit {UNIT} --resume --json".split()
        places = [str(self.model), str(self.cohort), "--out", str(out)]
        return [sys.executable, "-m", "clinic_mm.cli", "screen", *places, *words]


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: once so many more shards are there, and then so much later."""

    shards: int
    later_s: float


def main() -> None:
    """Run it and print, or write, what was seen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="local")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model, cohort = made(Path(folder), asked.cases)
        killing = Killing(model, cohort, Path(folder), asked.kills, asked.workers, asked.engine, asked.seed)
        killing.run()
    told = as_text(killing, asked, time.monotonic() - started)
    print(told)
    if asked.page:
        write_section(asked.page, f"Screening killed ({asked.engine})", told)


def as_text(killing: Killing, asked: argparse.Namespace, took_s: float) -> str:
    """Markdown."""
    rows = "\n".join(f"| {name} | {n} |" for name, n in [*sorted(killing.left.items()), *killing.wrong.items()])
    bad = killing.wrong.total()
    return (
        f"`python -m benchmarks.kills --kills {asked.kills} --cases {asked.cases} --engine {asked.engine} --seed "
        f"{asked.seed} --page docs/robustness.md`, {machine()}, {took_s:.0f} s. SIGKILL of `clinic-mm screen --resume "
        f"--workers {asked.workers}` at a random moment, {asked.kills} times, over {asked.cases} simulated cases in "
        f"units of {UNIT}. Runs that came to their end ({killing.ended}) were compared with an unkilled one.\n\n"
        f"| seen | times |\n|---|---:|\n{rows}\n\n"
        f"{'Nothing was lost, doubled or damaged.' if not bad else f'IT DID NOT HOLD: {bad} differences.'}"
    )


def made(root: Path, cases: int) -> tuple[Path, Path]:
    """A simulated cohort, and a model of it without networks."""
    from clinic_mm.cohort.ingest import ingest
    from clinic_mm.cohort.public import public_key
    from clinic_mm.simulate.cohort import write_cohort
    from clinic_mm.task import read_task
    from clinic_mm.training.train import train

    files = root / "files"
    write_cohort(files, cases=cases, seed=1, rate=0.4, modalities=("record", "note"), workers=2)
    with (files / "task.toml").open("a", encoding="utf-8") as file:
        file.write("folds = 2\n[train]\nepochs = 0\nthreads = 1\n")
    cohort = ingest(files, root / "cohort", key=public_key(root / "key"))
    train(cohort, read_task(files / "task.toml"), root / "model", test_share=0.4)
    return root / "model", root / "cohort"


def once(words: list[str], run: Path, moment: Moment | None = None) -> bool:
    """Start it, and kill it at the moment; whether it ended by itself.

    Raises:
        SystemExit: If it ended badly.
    """
    before = len(shards(run))
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said, env=quiet) as process,  # noqa: S603 - our own
    ):
        while moment and process.poll() is None and len(shards(run)) < before + moment.shards:
            time.sleep(0.01)
        try:
            code = process.wait(moment.later_s if moment else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            return False
        if code:
            said.seek(0)
            raise SystemExit(f"screen ended with {code}: {said.read().decode()}")
    return True


def shards(run: Path) -> list[Path]:
    """Whole ones."""
    return list(run.glob("shards/*/part-*.parquet"))


def seen(run: Path) -> list[str]:
    """In what state a kill left the run."""
    if not (run / "ledger.sqlite").is_file():
        return ["killed before the ledger was made"]
    found = ["temp files left behind"] * len(list(run.glob("**/.*.tmp")))
    with sqlite3.connect(f"file:{run / 'ledger.sqlite'}?mode=ro", uri=True) as db:
        try:
            claimed = db.execute("SELECT count(*) FROM units WHERE state = 'claimed'").fetchone()[0]
            pending = db.execute("SELECT count(*) FROM cases WHERE state = 'pending'").fetchone()[0]
            known = {name for (name,) in db.execute("SELECT shard FROM units WHERE shard IS NOT NULL")}
        except sqlite3.OperationalError:
            return [*found, "killed before the plan was made"]
    found += ["shards written and not yet in the ledger"] * sum(
        path.relative_to(run / "shards").as_posix() not in known for path in shards(run)
    )
    if claimed:
        return [*found, "killed while units were being worked on"]
    return [*found, "killed while starting" if pending else "killed after the last unit"]


def differences(whole: Path, hurt: Path) -> dict[str, int]:
    """How the killed run differs from the other."""
    from clinic_mm.report.run import open_run

    def rows(run: Path) -> list[tuple[str, str]]:
        found = (one.model_dump(mode="json", exclude={"run_id"}) for one in open_run(run).predictions())
        return [(one["case_key"], json.dumps(one)) for one in found]

    good, bad = rows(whole), rows(hurt)
    lists = [
        name for name in ("skipped.csv", "worklist.csv") if (whole / name).read_bytes() != (hurt / name).read_bytes()
    ]
    reports = [{path.name for path in (run / "reports").iterdir()} for run in (whole, hurt)]
    return {
        "cases lost": len(dict(good).keys() - dict(bad).keys()),
        "cases doubled": len(bad) - len(dict(bad)),
        "rows that are not equal, bit for bit": sum(dict(good).get(key) != row for key, row in bad),
        "lists that differ": len(lists),
        "reports missing or too many": len(reports[0] ^ reports[1]),
        "temp files in the finished run": len(list(hurt.glob("**/.*.tmp"))),
    }


if __name__ == "__main__":
    main()
