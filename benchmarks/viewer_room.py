"""What the measurements of viewers share: options, and a run of made-up answers over a folder of files.

Nothing is measured here.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clinic_mm.cohort.ingest import ingest
from clinic_mm.report.run import Counts, ModelOf, RunInfo, write_run, write_shard, write_skipped
from tests.report.predictions import made_up

CHROMIUM: Final = Path("/usr/bin/chromium")
WAIT_MS: Final = 600_000


def asked(told: str | None, keys: int, **numbers: float) -> argparse.Namespace:
    """The options of a measurement: `--keys`, `--page`, and numbers of its own by name, with what they are at first."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, first in {**numbers, "keys": keys}.items():
        parser.add_argument(f"--{name}", type=type(first), default=first)
    parser.add_argument("--page", type=Path, help="page to write")
    return parser.parse_args()


def run_over(base: Path, kind: str) -> tuple[Path, tuple[str, ...]]:
    """A run over `base / "files"`, and the keys of its cases; each has evidence of one kind."""
    cases = ingest(base / "files", base / "cohort", key=base / "key").cases()
    keys, run = tuple(case.case_key for case in cases), base / "run"
    write_shard([made_up(key, {kind: 1.0}) for key in keys], run / "shards" / "part-00000.parquet")
    write_skipped([], run)
    info = RunInfo(
        run_id="viewing",
        model=ModelOf(path="model", hash="a" * 64, name="none", version="0.1.0"),
        cohort=str(base / "cohort"),
        target="disease",
        classes=("negative", "positive"),
        modalities={kind: kind},
        counts=Counts(done=len(keys)),
        simulated=True,
        finished_at=datetime.now(UTC),
    )
    write_run(info, run)
    return run, keys
