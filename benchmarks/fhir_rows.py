"""FHIR NDJSON into the feature table: resources per second, beside validation by fhir.resources and json_normalize.

    python -m benchmarks.fhir_rows --page docs/performance.md

The real resources of two Synthea exports (shared data, read in place), written as bulk NDJSON to a temporary folder and
repeated with other ids and other seconds in their times until there are enough. Timed end to end in one process: bytes
of the files → JSON → facts with all checks → frame by patient and time → the table of `RecordPrep` for every patient.
Writing the files and learning which features there are (once per model) are not timed. Resources that the record reader
passes over by their type count only in the line that says so.

The other two ways do less: they parse the same lines and validate them (fhir.resources), or flatten them
(pandas.json_normalize, after orjson), and stop there. They run on a sample of each type.
"""

import argparse
import gzip
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import orjson
import pandas as pd

from benchmarks.section import machine, write_section
from clinic_mm.prep.record import RecordPrep
from clinic_mm.signals import PatientRecord
from clinic_mm.sources.fhir.facts import READERS
from clinic_mm.sources.record import patient as record
from clinic_mm.task import ModalityTask

DATA = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "fhir"
UUID = re.compile(rb"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
ADDRESS = re.compile(rb"urn:uuid:[0-9a-f-]{36}")
SECONDS = re.compile(rb"(T\d\d:\d\d:)(\d\d)")
OURS = "ours, end to end"
SAMPLE = 300
"""Resources of each type that the slow ways are tried on."""


def main() -> None:
    """Measure and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--resources", type=int, default=200_000, help="how many at least")
    asked.add_argument("--repeats", type=int, default=5)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    lines = real_lines()
    with TemporaryDirectory() as folder:
        files, counts = repeated_lines(lines, given.resources, Path(folder))
        text = measured(lines, files, counts, given.repeats)
    if given.page:
        write_section(given.page, "FHIR records", text)
    print(text)


def real_lines() -> dict[str, list[bytes]]:
    """Every resource of both exports by type, one line each, bundles taken apart as a bulk export would."""
    lines: dict[str, list[bytes]] = defaultdict(list)
    for path in sorted((DATA / "synthea_bulk10").glob("[A-Z]*.ndjson.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            lines[path.name.partition(".")[0]].append(line)
    for path in sorted((DATA / "synthea_r4").glob("*.json.gz")):
        entries = orjson.loads(gzip.decompress(path.read_bytes()))["entry"]
        names = {e["fullUrl"].encode(): f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
        for entry in entries:
            kind, line = entry["resource"]["resourceType"], orjson.dumps(entry["resource"])
            if kind in READERS:
                lines[kind].append(_named(line, names))
    return lines


def _named(line: bytes, names: dict[bytes, str]) -> bytes:
    """A bulk export says `Patient/x` where a bundle has the address of an entry."""
    return ADDRESS.sub(lambda found: names[found[0]].encode(), line)


def repeated_lines(lines: dict[str, list[bytes]], at_least: int, folder: Path) -> tuple[list[Path], Counter[str]]:
    """The lines again and again, as other resources of other patients at other seconds; a file for each type."""
    copies = -(-at_least // sum(len(lines[kind]) for kind in lines if kind in READERS))
    counts: Counter[str] = Counter()
    files = []
    for kind, some in lines.items():
        path = folder / f"{kind}.ndjson"
        with path.open("wb") as file:
            for copy in range(copies):
                file.writelines(_relabelled(line, copy) + b"\n" for line in some)
        counts[kind] = copies * len(some)
        files.append(path)
    return files, counts


def _relabelled(line: bytes, copy: int) -> bytes:
    line = UUID.sub(lambda found: b"c%02d-%b" % (copy, found[0]), line)
    return SECONDS.sub(lambda found: b"%b%02d" % (found[1], (int(found[2]) + copy) % 60), line)


def into_table(files: list[Path], prep: RecordPrep) -> tuple[np.ndarray, pd.DataFrame]:
    """The way that is measured: files to the feature table of every patient."""
    rows, _ = record.read_rows(files, UTC)
    patients, _ = pd.factorize(rows["patient_id"])
    newest = rows.groupby(patients)["time"].max().to_numpy("datetime64[us]").astype(np.int64) / 1e6
    return prep.table(rows, patients, newest), rows


def learnt(files: list[Path]) -> RecordPrep:
    """The features of the first hundred patients."""
    rows, _ = record.read_rows(files, UTC)
    some = [PatientRecord(part) for _, part in rows.groupby("patient_id")][:100]
    return RecordPrep.plan("base", ModalityTask(kind="record")).fit((one, None) for one in some)


def check(table: np.ndarray, rows: pd.DataFrame, prep: RecordPrep) -> None:
    """The table of all patients at once has the rows that each patient has alone."""
    for place in range(0, len(table), max(1, len(table) // 20)):
        name = rows["patient_id"].unique()[place]
        alone = prep(PatientRecord(rows[rows["patient_id"] == name].reset_index(drop=True)))
        np.testing.assert_allclose(alone.x, table[place], rtol=1e-5)


def measured(lines: dict[str, list[bytes]], files: list[Path], counts: Counter[str], repeats: int) -> str:
    """Run all ways in turn and say what was seen."""
    prep = learnt(files)
    table, rows = into_table(files, prep)  # warm
    check(table, rows, prep)
    read = sum(count for kind, count in counts.items() if kind in READERS)
    size = sum(path.stat().st_size for path in files)
    sample = {kind: some[:SAMPLE] for kind, some in lines.items() if kind in READERS}
    ways: dict[str, tuple[Callable[[], object], int]] = {
        OURS: (lambda: into_table(files, prep), read),
        "ours, to checked rows": (lambda: record.read_rows(files, UTC), read),
        "orjson.loads alone, nothing else": (lambda: _parse(files), sum(counts.values())),
        "pandas.json_normalize, flattened only": (lambda: _flatten(sample), sum(map(len, sample.values()))),
        "fhir.resources, validated only": (lambda: _validate(sample), sum(map(len, sample.values()))),
    }
    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for _ in range(repeats):
        for name, (way, _) in ways.items():
            started, worked = time.perf_counter(), time.process_time()
            way()
            seconds[name].append((time.perf_counter() - started, time.process_time() - worked))
    wall = {name: median(one for one, _ in seconds[name]) / count for name, (_, count) in ways.items()}
    cpu = {name: median(one for _, one in seconds[name]) / count for name, (_, count) in ways.items()}
    head = _head(counts, read, size, len(rows), table.shape, repeats)
    return "\n".join([*head, *_figures(wall, cpu), *_tail(sum(counts.values()) / read / wall[OURS])])


def _parse(files: list[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            for line in file:
                orjson.loads(line)


def _flatten(sample: dict[str, list[bytes]]) -> None:
    for some in sample.values():
        pd.json_normalize([orjson.loads(line) for line in some])


def _validate(sample: dict[str, list[bytes]]) -> None:
    from fhir.resources.R4B import get_fhir_model_class

    for kind, some in sample.items():
        model = get_fhir_model_class(kind)
        for line in some:
            model.model_validate(orjson.loads(line))


def _head(counts: Counter[str], read: int, size: int, rows: int, table: tuple[int, ...], repeats: int) -> list[str]:
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common() if kind in READERS)
    return [
        f"{read:,} resources that give facts in {size / 1e6:,.0f} MB of NDJSON: real Synthea resources, repeated with",
        f"other ids and times ({kinds}; {sum(counts.values()) - read:,} more are passed over by type).",
        f"One process on {machine()}; median of {repeats} runs, the ways in turn. {rows:,} rows become a table of",
        f"{' × '.join(map(str, table))} (patients × features × summaries).",
        "",
    ]


def _figures(wall: dict[str, float], cpu: dict[str, float]) -> list[str]:
    lines = [
        f"| {name} | {1 / wall[name]:,.0f} | {1e6 * cpu[name]:.1f} | {wall[name] / wall[OURS]:.2g} |" for name in wall
    ]
    return ["| way | resources/s | CPU µs each | time, ours = 1 |", "|---|---|---|---|", *lines, ""]


def _tail(all_lines: float) -> list[str]:
    return [
        f"Counting the lines that are passed over too, ours reads {all_lines:,.0f} resources/s. End to end is bytes of",
        "the files → JSON → facts, with every check of docs/formats.md → frame by patient and time → feature table of",
        "every patient; learning which features there are is not timed. The last two ways run on a sample",
        f"({SAMPLE} of each type) and stop before any fact is read. The table of all patients at once equals that of",
        "each patient alone.",
        "",
        "Command: `python -m benchmarks.fhir_rows --page docs/performance.md`",
        "",
    ]


if __name__ == "__main__":
    main()
