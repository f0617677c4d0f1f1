"""What the work list of the dashboard's store costs with many cases, beside reading and sorting all of them.

    python -m benchmarks.worklist --cases 100000 --page docs/performance.md
    python -m benchmarks.worklist --cases 100000 --postgresql --page docs/performance.md
    python -m benchmarks.worklist --cases 100000 --url postgresql://USER@HOST/NAME

First a run of as many made-up Predictions is imported, as `clinic-mm dashboard` does it, once and then again, when
nothing of it is new; beside it stands what reading and parsing those Predictions takes alone. Then cases are written
straight into the tables of another store, a fifth of them signed, some read now; each page is asked for as the
dashboard does it. The plain way reads all cases with pandas, filters and sorts them. Both give the same
keys, or this ends with an error. With --url the stores are made in an EMPTY database that the
operator names, and emptied in between; without, --postgresql starts a throw-away server of PostgreSQL.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from sqlalchemy import insert, text

from benchmarks.section import machine, write_section
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import JOIN, Counts, ModelOf, RunInfo, open_run, write_run, write_shard, write_skipped
from clinic_mm.store import Store, WorklistQuery, open_store
from clinic_mm.store.models import CaseRow, RunRow
from clinic_mm.store.ranking import rank
from tests.report.predictions import made_up
from tests.store.server import postgresql

TITLE: Final = "Work list of the dashboard"
NOW: Final = datetime(2026, 3, 20, 8, tzinfo=UTC)
MODALITIES: Final = ("ct", "eeg", "note", "record", "xray")
PAGE: Final = 50
REPEATS: Final = 7
AT_ONCE: Final = 5000
SHARD: Final = 1000
"""Predictions of a shard, as screening writes them."""
SHARES: Final = (
    {"ct": 1.2, "eeg": -0.3, "note": 0.2, "record": 0.6, "xray": 0.4},
    {"ct": -0.8, "record": 0.3},
    {"eeg": 0.9, "note": -0.4, "xray": 0.1},
)


def main() -> None:
    """Measure, print, and write the section where a page is named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument(
        "--url", default="", help="of an empty PostgreSQL database; SQLite in a temporary folder without"
    )
    parser.add_argument("--postgresql", action="store_true", help="start a throw-away server and use that")
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()
    kind = "PostgreSQL" if asked.url or asked.postgresql else "SQLite"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = stack.enter_context(postgresql()) if asked.postgresql else asked.url
        told = imported(url or str(Path(folder) / "imported.sqlite"), Path(folder), asked.cases)
        told |= measured(url or str(Path(folder) / "store.sqlite"), Path(folder) / "heads", asked.cases)
    by = " --postgresql" if kind == "PostgreSQL" else ""
    command = (
        f"`python -m benchmarks.worklist --cases {asked.cases}{by} --page docs/performance.md`, {machine()}, {kind}"
    )
    head = f"{command}. Made-up cases; median and slowest of {REPEATS} repeats, warm; what is imported, once."
    rows = "\n".join(f"| {name} | {first} | {second} |" for name, (first, second) in told.items())
    body = f"{head}\n\n| what | median | slowest |\n|---|---:|---:|\n{rows}"
    print(body)
    if asked.page:
        write_section(asked.page, f"{TITLE}, {kind}", body)


def imported(url: str, folder: Path, n: int) -> dict[str, tuple[str, str]]:
    """How long a run takes to be taken in; the database is empty again afterwards."""
    run = made_run(folder / "run", n)
    opened = open_run(run)
    started = time.perf_counter()
    read = sum(
        bool(Prediction.model_validate_json(text)) for shard in opened.shards for _, _, text in opened.stored(shard)
    )
    plain_s = time.perf_counter() - started
    with open_store(url, heads=folder / "heads_imported", clock=lambda: NOW) as store:
        started = time.perf_counter()
        done = store.import_run(run)
        first_s = time.perf_counter() - started
        if not read == done.ready == store.counts()["ready"] == n:
            message = "not every case of the run was imported"
            raise SystemExit(message)
        again = timed(lambda: store.import_run(run))
        emptied(store)
    each = f"{1e3 * first_s / n:.2f} ms a case"
    return {
        f"importing a run of {n:,} cases in {len(opened.shards)} shards": (f"{first_s:.1f} s", each),
        "of that, reading and parsing its Predictions alone": (
            f"{plain_s:.1f} s",
            f"{1e3 * plain_s / n:.2f} ms a case",
        ),
        "importing it again: nothing is new": again,
    }


def made_run(run: Path, n: int) -> Path:
    """A run of made-up Predictions, in shards as screening writes them."""
    for start in range(0, n, SHARD):
        answers = (made_up(f"{at:016x}", SHARES[at % len(SHARES)]) for at in range(start, min(start + SHARD, n)))
        write_shard(list(answers), run / "shards" / f"part-{start // SHARD:05d}.parquet")
    write_skipped([], run)
    write_run(of_run(n), run)
    return run


def emptied(store: Store) -> None:
    """Leave an empty database behind; a file is no longer used."""
    if store.db.engine.dialect.name == "postgresql":
        with store.db.engine.begin() as db:
            db.execute(text("DROP SCHEMA public CASCADE"))
            db.execute(text("CREATE SCHEMA public"))


def of_run(n: int) -> RunInfo:
    """The head of the made-up run."""
    return RunInfo(
        run_id="r1",
        model=ModelOf(path="model", hash="a" * 64, name="made up", version="0.1.0"),
        cohort="cohort",
        target="disease",
        classes=("negative", "positive"),
        modalities={name: name for name in MODALITIES},
        counts=Counts(done=n),
        simulated=True,
        finished_at=NOW,
    )


def measured(url: str, heads: Path, n: int) -> dict[str, tuple[str, str]]:
    """Median and slowest of everything, by what it is of."""
    with open_store(url, heads=heads) as store:
        user = store.users.add("reader", ["reader"], now=NOW).id
        frame = made(n, user)
        fill(store, frame)
    told = {"opening the store": timed(lambda: open_store(url, heads=heads).close())}
    with open_store(url, heads=heads, clock=lambda: NOW) as store:
        for name, query in queries(frame, user).items():
            keys = [row.case_key for row in store.worklist(query).rows]
            if keys != plainly(frame, query):
                message = f"the two ways disagree: {name}"
                raise SystemExit(message)
            told[f"a page of {PAGE}: {name}"] = timed(lambda query=query: store.worklist(query))
        told["counts of all states"] = timed(store.counts)
        told["a case file"] = timed(lambda: store.case(frame["case_key"][n // 2]))
        told["has anything changed (asked by every open page)"] = timed(store.pulse)
        token = store.sessions.open(user)
        told["who is asking (on every request)"] = timed(lambda: store.sessions.user_of(token))
        told["begin to read a case, and give it back"] = timed(lambda: turn(store, frame, user))
        told["the plain way: all cases read and sorted"] = timed(
            lambda: plainly(pd.read_sql(text("SELECT * FROM cases"), store.db.engine), WorklistQuery())
        )
    return told


def made(n: int, user: str) -> pd.DataFrame:
    """Cases of four weeks: seven patterns, one of ten without an answer, a fifth signed."""
    rng = np.random.default_rng(0)
    patterns = [JOIN.join(sorted(rng.choice(MODALITIES, size, replace=False))) for size in (1, 2, 2, 3, 3, 4, 5)]
    urgency = rng.random(n)
    answered = rng.random(n) < 0.9
    ready = [NOW - timedelta(seconds=float(s)) for s in rng.integers(0, 28 * 86400, n)]
    decision = np.where(answered, np.where(urgency > 0.5, "positive", "negative"), "")
    state = rng.choice(["ready", "in_review", "signed"], n, p=[0.79, 0.01, 0.2])
    frame = pd.DataFrame(
        {
            "case_key": [f"{value:016x}" for value in rng.permutation(n).astype(np.uint64) * 2654435761],
            "run_id": "r1",
            "state": state,
            "version": 0,
            "answer_hash": "",
            "pattern": rng.choice(patterns, n),
            "decision": decision,
            "answered": answered,
            "missing": "missing: EEG, Clinical note",
            "urgency": urgency,
            "ready_at": ready,
            "rank": [rank(u, at) for u, at in zip(urgency, ready, strict=True)],
            "reason": "positive 0.78, set: positive; Chest X-ray +1.36, Clinical note +0.64; missing: EEG",
            "assigned": np.where(rng.random(n) < 0.005, user, ""),
            "decided": state == "signed",
            "newer": False,
            "lock_by": "",
            "last_by": "",
        }
    )
    return frame.sort_values("case_key", ignore_index=True)


def fill(store: Store, frame: pd.DataFrame) -> None:
    """Write the cases into the store."""
    with store.db.writing(NOW) as work:
        run = {"target": "disease", "classes": "negative+positive", "modalities": JOIN.join(MODALITIES)}
        work.session.add(RunRow(run_id="r1", **run, model_hash="0" * 64, simulated=True, imported_at=NOW))
        work.session.flush()
        for start in range(0, len(frame), AT_ONCE):
            part = frame.iloc[start : start + AT_ONCE].astype({"ready_at": object})
            rows = part.assign(ready_at=[at.to_pydatetime() for at in part["ready_at"]]).to_dict("records")
            work.session.execute(insert(CaseRow), rows)
        work.link("import", cases=len(frame))
    if store.db.engine.dialect.name == "postgresql":  # as its autovacuum does within a minute
        with store.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def queries(frame: pd.DataFrame, user: str) -> dict[str, WorklistQuery]:
    """What a reader asks for."""
    ready = frame[frame["state"].isin(["ready", "in_review"])].sort_values(["rank", "case_key"], ignore_index=True)
    far = (float(ready["rank"].iloc[-200]), str(ready["case_key"].iloc[-200]))
    pattern = tuple(str(frame["pattern"].value_counts().index[-1]).split(JOIN))
    return {
        "the first": WorklistQuery(),
        "near the end": WorklistQuery(after=far),
        "all states": WorklistQuery(states=()),
        "sealed for a reader": WorklistQuery(sealed_for=user),
        "one pattern": WorklistQuery(pattern=pattern),
        "no answer": WorklistQuery(answer="none"),
        "pattern and answer": WorklistQuery(pattern=pattern, answer="negative"),
        "assigned to me": WorklistQuery(assigned=user),
        "text of a case key": WorklistQuery(text=str(frame["case_key"].iloc[7])[5:10]),
        "text that no key holds": WorklistQuery(text="zzz"),
        "signed, negative": WorklistQuery(states=("signed",), answer="negative"),
        "the longest waiting": WorklistQuery(order="waiting"),
    }


def plainly(frame: pd.DataFrame, query: WorklistQuery) -> list[str]:
    """The same page by filtering and sorting all rows."""
    keep = frame["state"].isin(query.states) if query.states else pd.Series(data=True, index=frame.index)
    if query.pattern is not None:
        keep &= frame["pattern"] == JOIN.join(query.pattern)
    if query.answer is not None:
        keep &= ~frame["answered"].astype(bool) if query.answer == "none" else frame["decision"] == query.answer
    if query.assigned is not None:
        keep &= frame["assigned"] == query.assigned
    if query.text:
        keep &= frame["case_key"].str.contains(query.text, regex=False)
    order = "rank" if query.order == "urgency" else "ready_at"
    rows = frame[keep].sort_values([order, "case_key"])
    if query.after:
        place, key = query.after
        rows = rows[(rows["rank"] > place) | ((rows["rank"] == place) & (rows["case_key"] > key))]
    return list(rows["case_key"].head(query.limit))


def turn(store: Store, frame: pd.DataFrame, user: str) -> None:
    """Two acts: two transactions, each with its audit link and its signed head."""
    key = str(frame.loc[frame["state"] == "ready", "case_key"].iloc[11])
    store.begin(key, user)
    store.release(key, user)


def timed(act: Callable[[], object]) -> tuple[str, str]:
    """Median and slowest of some repeats, after one to warm up."""
    act()
    took = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        act()
        took.append(1e3 * (time.perf_counter() - started))
    return f"{statistics.median(took):.1f} ms", f"{max(took):.1f} ms"


if __name__ == "__main__":
    main()
