"""Tell tables of a known form apart: MEDS events and the tables of an OMOP CDM need no mapping.

In:  CSV and Parquet files. Out: which of them are what, by their columns, then by their names.

Nothing here reads a row.
"""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from clinic_mm.sources.tables.meds import NEEDED as MEDS_COLUMNS
from clinic_mm.sources.tables.omop_tables import NOT_READ, PERSON, READ, table_name
from clinic_mm.sources.tables.table_file import is_parquet

HEADER_BYTES: Final = 65_536
MEDS_LABELS: Final = frozenset({"subject_id", "prediction_time"})
MEDS_SIDE: Final = (frozenset({"subject_id", "split"}), frozenset({"code", "parent_codes"}))


@dataclass(slots=True)
class KnownTables:
    """Tables by what they are.

    Attributes:
        meds: Files of MEDS events.
        meds_labels: Files of MEDS labels, which belong under [labels].
        omop: The tables of each OMOP CDM, by folder; its person table first.
        side: Files that say something of the others, or that are not read.
        others: All that need a mapping.
    """

    meds: list[Path] = field(default_factory=list)
    meds_labels: list[Path] = field(default_factory=list)
    omop: list[list[Path]] = field(default_factory=list)
    side: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


def told_apart(files: Sequence[Path]) -> KnownTables:
    """What each table is. A table that cannot be opened is one of the others: its reader says why."""
    known = KnownTables()
    columns = {path: columns_of(path) for path in files}
    rest = _take_omop(columns, known)
    for path in rest:
        names = columns[path]
        if names >= MEDS_COLUMNS and is_parquet(path):
            known.meds.append(path)
        elif names >= MEDS_LABELS:
            known.meds_labels.append(path)
        elif any(names >= side for side in MEDS_SIDE):
            known.side.append(path)
        else:
            known.others.append(path)
    return known


def columns_of(path: Path) -> frozenset[str]:
    """Names of a table's columns in lower case; none where it cannot be opened."""
    try:
        if is_parquet(path):
            return frozenset(name.lower() for name in pq.read_schema(path).names)
        with path.open("rb") as raw:
            head = raw.read(HEADER_BYTES)
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(wbits=31).decompress(head, HEADER_BYTES)
    except (OSError, pa.ArrowException, zlib.error, gzip.BadGzipFile):
        return frozenset()
    line = head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
    return frozenset(name.strip().strip('"').lower() for name in line.split("\t" if "\t" in line else ","))


def _take_omop(columns: dict[Path, frozenset[str]], known: KnownTables) -> Iterable[Path]:
    """Take out the tables of each folder that has a person table and anything that happened to a person."""
    named = {path: table_name(path) for path in columns}
    homes: dict[Path, list[Path]] = {}
    for path, (home, _) in named.items():
        homes.setdefault(home, []).append(path)
    taken: set[Path] = set()
    for home in sorted(homes):
        mine = {p: named[p][1] for p in homes[home] if named[p][1] in READ or named[p][1] in NOT_READ}
        people = [p for p, name in mine.items() if name == PERSON and columns[p] >= {"person_id", "gender_concept_id"}]
        events = [p for p, name in mine.items() if name in READ and name != PERSON and "person_id" in columns[p]]
        if not (people and events):
            continue
        read = [path for path, name in mine.items() if name in READ]
        known.omop.append(sorted(read, key=lambda path: (path not in people, path)))
        known.side += [path for path, name in mine.items() if name not in READ]
        taken |= set(mine)
    return [path for path in columns if path not in taken]
