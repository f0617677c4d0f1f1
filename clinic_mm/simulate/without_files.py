"""Write a SIMULATED cohort folder without a file of evidence: what a million cases cost before any is read.

In:  an empty folder, how many cases, the seed, the world. Out on disk: the cohort folder as `clinic-mm ingest` would
have written it (cohort.json, evidence, labels, times of facts and notes), and task.toml.

Everything that can be joined, counted and filtered is there: patients, decision times, patterns, a late study now and
then, refusals. Nothing can be read: every path lies below `no-files`, and whoever opens one is told `file.gone`; the
rows of records and notes hold times and codes, no value and no text. The same seed gives the same bytes, and about
40 bytes a case are held in memory.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.cohort.link import patient_key
from clinic_mm.cohort.manifest import (
    EVIDENCE_COLUMNS,
    EVIDENCE_FILE,
    LABELS_FILE,
    REJECTED_COLUMNS,
    REJECTED_FILE,
    ROW_COLUMNS,
    ROW_FILES,
    ROW_GROUP,
    CohortInfo,
    write_info,
    write_rejected,
)
from clinic_mm.cohort.spec import NO_FILES, RESERVED_ROOT
from clinic_mm.errors import UsageError
from clinic_mm.signals import RECORD_NUMBERS
from clinic_mm.simulate.case import DAYS_BEFORE, FIRST_DECISION, LATE_SHARE, NOT_FILES, SITES
from clinic_mm.simulate.cohort import TASK_TOML, check_empty
from clinic_mm.simulate.latent import DEFAULT, Missing, World, draw
from clinic_mm.simulate.record import LABS
from clinic_mm.types import Evidence, Rejected

SPAN: Final = 10_000
"""Cases drawn, and patients written, at a time."""
REFUSED_SHARE: Final = 0.01
"""Of CT: slices are missing."""
REFUSED: Final = Rejected(
    modality="ct", code="ct.missing_slices", why="1 slice is missing", mend="Send the series again"
)
SLICES: Final = 48
BETWEEN_OCCASIONS: Final = 12 * 60
"""Minutes between the two times of a record."""
CODES: Final = tuple(sorted(f"loinc:{lab.loinc}" for lab in LABS))
DEMOGRAPHIC: Final = ("birth_date", "sex")
TOKEN_TIME: Final = datetime(2001, 1, 1, tzinfo=UTC)
PLACE, TIME, KEY, CONTENT = "@place", "2001-01-01T00:00:00Z", "@key", "@content"
"""Words of a form that are filled in."""
CASE: Final = np.dtype(
    [
        ("key", "S16"),
        ("due", "i4"),
        ("before", "i2", (len(DEFAULT),)),
        ("present", "u1"),
        ("label", "i1"),
        ("sex", "i1"),
        ("age", "i1"),
        ("site", "i1"),
        ("late", "i1"),
        ("after", "i2"),
        ("refused", "?"),
    ]
)
"""What is held of a case: times in minutes (of the decision from 2025 on, of evidence before it), presence in bits."""
Progress = Callable[[int, int], None]


def write_without_files(
    out: Path,
    *,
    cases: int,
    seed: int,
    missing: str = "MCAR",
    rate: float = 0.3,
    synergy: bool = False,
    modalities: tuple[str, ...] = DEFAULT,
    progress: Progress | None = None,
) -> CohortInfo:
    """Simulate the manifest of a cohort, marked as simulated, without its files.

    Args:
        out: A folder that is empty or does not exist yet; it becomes the cohort folder.
        cases: How many patients, one case each.
        seed: Of all random numbers, and of the pseudonyms, which are no secret.
        missing: MCAR, MAR or MNAR.
        rate: Probability that a modality is absent.
        synergy: As in `World`.
        modalities: Of DEFAULT.
        progress: Called with (cases done, cases in all).

    Raises:
        UsageError: If the request does not fit together, or the folder is not empty.
    """
    world = World(modalities, cast("Missing", missing), rate, synergy)
    if unknown := sorted(set(modalities) - set(DEFAULT)):
        what = f"A manifest without files has no {', '.join(unknown)}"
        raise UsageError(what, "modalities", f"Choose from {', '.join(DEFAULT)}")
    check_empty(out, cases, seed)
    out.mkdir(parents=True, exist_ok=True)
    drawn = _draw(world, cases, seed)
    _write_labels(out, drawn)
    counts = _write_found(out, drawn, world, seed, progress)
    named = ", ".join(f'"{m}"' for m in modalities)
    (out / "task.toml").write_text(TASK_TOML.format(modalities=named, seed=seed), encoding="utf-8")
    about = {
        "name": "simulated without files",
        "site_timezone": "UTC",
        "undated": "refuse",
        "timeless": (),
        "simulated": True,
        "roots": {NO_FILES: str(out.absolute() / NO_FILES)},
        "times": ("decision_time",),
        "counts": {"patients": cases, **counts, "failed": 0, "labels": cases},
    }
    return write_info(out, about)


def _patient_id(seed: int, number: int) -> str:
    return f"SIM-{seed}-{number:05d}"


def _draw(world: World, cases: int, seed: int) -> Array:
    """All cases in few bytes, by number; those of one span depend on nothing else."""
    secret = hashlib.sha256(f"SIMULATED {seed}".encode()).digest()
    drawn = np.zeros(cases, CASE)
    for start in range(0, cases, SPAN):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(start // SPAN,)))
        whole = _span(world, rng)
        mine = drawn[start : start + SPAN]
        mine[:] = whole[: len(mine)]
        mine["key"] = [patient_key(secret, _patient_id(seed, start + i)) for i in range(len(mine))]
    return drawn


def _span(world: World, rng: np.random.Generator) -> Array:
    span = np.zeros(SPAN, CASE)
    label, present = _hidden(world, rng)
    bits = np.array([1 << DEFAULT.index(m) for m in world.modalities])
    span["label"], span["present"] = label, present @ bits
    span["due"] = rng.integers(0, 365 * 24 * 60, SPAN)
    most = np.array([DAYS_BEFORE[m] * 1440 for m in DEFAULT])
    span["before"] = rng.integers(20, most, (SPAN, len(DEFAULT)))
    for name, low, high in (("sex", 0, 2), ("age", 18, 90), ("site", 0, len(SITES)), ("after", 120, 4320)):
        span[name] = rng.integers(low, high, SPAN)
    late = rng.choice([DEFAULT.index(m) for m in world.modalities], SPAN)
    rows = np.isin(late, [DEFAULT.index(m) for m in NOT_FILES])
    may = (rng.random(SPAN) < LATE_SHARE) & ~(rows & (span["present"] >> late & 1 == 0))
    span["late"] = np.where(may, late, -1)
    span["refused"] = rng.random(SPAN) < REFUSED_SHARE
    return span


def _hidden(world: World, rng: np.random.Generator) -> tuple[Int[Array, " n"], Bool[Array, "n M"]]:
    """Labels and presence; cases with nothing are drawn again, label and all."""
    drawn = draw(world, rng, SPAN)
    label, present = drawn.y, drawn.present
    while (empty := np.flatnonzero(~present.any(axis=1))).size:
        again = draw(world, rng, empty.size)
        label[empty], present[empty] = again.y, again.present
    return label, present


def _write_labels(out: Path, drawn: Array) -> None:
    """In the order of their numbers, as a hospital's list has it."""
    with _Table(out / LABELS_FILE) as table:
        for start in range(0, len(drawn), SPAN):
            mine = drawn[start : start + SPAN]
            table.write(
                {
                    "patient_key": _text(mine["key"]),
                    "label": pa.array(mine["label"], pa.int64()),
                    "sex": _text(np.array(["female", "male"])[mine["sex"]]),
                    "age": pa.array(mine["age"], pa.int64()),
                    "site": _text(np.array(SITES)[mine["site"]]),
                    "decision_time": _times(mine["due"]),
                }
            )


def _write_found(out: Path, drawn: Array, world: World, seed: int, progress: Progress | None) -> dict[str, int]:
    """Evidence, and times of facts and notes, by patient key."""
    order = np.argsort(drawn["key"], kind="stable")
    counts, refused = Counter[str](), []
    with ExitStack() as stack:
        evidence = stack.enter_context(_Table(out / EVIDENCE_FILE))
        rows = {name: stack.enter_context(_Table(out / ROW_FILES[name])) for name in ROW_FILES}
        for start in range(0, len(order), SPAN):
            numbers = order[start : start + SPAN]
            some = _Some(drawn[numbers], [_patient_id(seed, n) for n in numbers.tolist()])
            found = some.evidence(world.modalities)
            evidence.write(found)
            counts.update(found["status"].to_pylist())
            refused.append(pa.table(found).filter(pc.equal(pa.array(found["status"]), "rejected")))
            for name, table in rows.items():
                known = some.rows(name, there=name in world.modalities)
                table.write(known)
                counts[f"{name}_rows"] += len(known["patient_key"])
            if progress:
                progress(start + len(numbers), len(order))
    write_rejected(_rejected(pa.concat_tables(refused)), out / REJECTED_FILE)
    return {name: counts[name] for name in ("present", "rejected", "record_rows", "note_rows")}


class _Some(NamedTuple):
    """Some cases, sorted by patient key."""

    drawn: Array
    patient_ids: list[str]

    def evidence(self, modalities: Sequence[str]) -> dict[str, pa.Array]:
        """EVIDENCE_COLUMNS."""
        names, none = sorted(modalities), np.iinfo(np.int64).min
        case, kind, minute, refused = (
            np.concatenate(part)
            for part in zip(*(self._acquired(m, k, none) for k, m in enumerate(names)), strict=True)
        )
        order = np.lexsort([minute, kind, case])
        case, kind, minute, refused = case[order], kind[order], minute[order], refused[order]
        modality = np.array(names)[kind]
        in_rows = np.isin(modality, sorted(NOT_FILES))
        columns = (
            _text(self.drawn["key"]).take(pa.array(case)),
            _text(modality),
            _text(np.where(refused, "rejected", "present")),
            _text(np.where(refused, REFUSED.code, "")),
            _text(np.where(in_rows, RESERVED_ROOT, NO_FILES)),
            _times(minute, none),
            pa.array(self._findings(case, modality, minute, refused), pa.string()),
        )
        return dict(zip(EVIDENCE_COLUMNS, columns, strict=True))

    def _acquired(self, modality: str, kind: int, none: int) -> tuple[Array, Array, Array, Array]:
        """Case, kind, minute and refusal of each finding of one modality."""
        column, drawn = DEFAULT.index(modality), self.drawn
        case = np.flatnonzero(drawn["present"] >> column & 1)
        refused = drawn["refused"][case] & (modality == "ct")
        if modality in NOT_FILES:
            minute = np.full(len(case), none)
        else:
            late = np.flatnonzero(drawn["late"] == column)
            minute = np.concatenate([self._before(case, column), self._after(late)])
            case, refused = np.concatenate([case, late]), np.concatenate([refused, np.zeros(len(late), bool)])
        return case, np.full(len(case), kind), minute, refused

    def _before(self, case: Array, column: int) -> Array:
        minute: Array = self.drawn["due"][case].astype(np.int64) - self.drawn["before"][case, column]
        return minute

    def _after(self, case: Array) -> Array:
        minute: Array = self.drawn["due"][case].astype(np.int64) + self.drawn["after"][case]
        return minute

    def _findings(self, case: Array, modality: Array, minute: Array, refused: Array) -> list[str]:
        """Each finding as JSON: made from its model once, and filled in for each."""
        forms = {name: one.model_dump_json() for name, one in _forms().items()}
        times = np.datetime_as_string(_moments(minute), unit="s").tolist()
        opaque = [hashlib.blake2b(one.encode(), digest_size=6).hexdigest() for one in self.patient_ids]
        keys = self.drawn["key"].astype("U16").tolist()
        told = []
        for i, name, time, bad in zip(case.tolist(), modality.tolist(), times, refused.tolist(), strict=True):
            content = hashlib.sha256(f"SIMULATED {self.patient_ids[i]} {name} {time}".encode()).hexdigest()
            form = forms["refused" if bad else name].replace(PLACE, f"{opaque[i][:2]}/{opaque[i]}")
            told.append(form.replace(TIME, f"{time}Z").replace(KEY, keys[i]).replace(CONTENT, content))
        return told

    def rows(self, name: str, *, there: bool) -> dict[str, pa.Array]:
        """ROW_COLUMNS: when each fact or note was known; nothing of what it says."""
        column, none = DEFAULT.index(name), np.iinfo(np.int64).min
        case = np.flatnonzero(self.drawn["present"] >> column & 1) if there else np.array([], np.int64)
        late = np.flatnonzero(self.drawn["late"] == column) if there else case
        before, after = self._before(case, column), self._after(late)
        if name == "record":
            occasions = [(case, before - BETWEEN_OCCASIONS), (case, before), (late, after)]
            parts = [(c, m, np.full(len(c), k)) for c, m in occasions for k in range(len(CODES))]
            parts += [(case, np.full(len(case), none), np.full(len(case), -1 - k)) for k in range(len(DEMOGRAPHIC))]
        else:
            parts = [(case, before, np.zeros(len(case), np.int64)), (late, after, np.zeros(len(late), np.int64))]
        who, minute, code = (np.concatenate(part) for part in zip(*parts, strict=True))
        order = np.lexsort([code, minute, who])
        who, minute, code = who[order], minute[order], code[order]
        empty = pa.repeat("", len(who))
        columns = {c: pa.nulls(len(who), pa.float64()) if c in RECORD_NUMBERS else empty for c in ROW_COLUMNS[name]}
        columns |= {"patient_key": _text(self.drawn["key"]).take(pa.array(who)), "time": _times(minute, none)}
        if name == "record":
            columns["code"] = _text(np.array([*CODES, *reversed(DEMOGRAPHIC)])[code])
            columns["category"] = _text(np.where(code < 0, "demographic", "observation"))
        return columns


def _forms() -> dict[str, Evidence | Rejected]:
    """One finding of each modality with words in the places to be filled in, and what is refused."""
    head: dict[str, object] = {"root": NO_FILES, "acquired_at": TOKEN_TIME, "content_hash": CONTENT}
    slices = tuple(f"{PLACE}/S1/A/IM{k:04d}" for k in range(SLICES))
    shape: dict[str, JsonValue] = {"format": "dicom", "spacing_mm": [2.0, 2.0, 2.5], "shape": [SLICES, 96, 96]}
    rows: dict[str, object] = {"root": RESERVED_ROOT, "locator": KEY, "content_hash": CONTENT}
    made: dict[str, dict[str, object]] = {
        "ct": {**head, "paths": slices, "meta": shape},
        "eeg": {**head, "paths": (f"{PLACE}-1.edf",), "meta": {"sfreq_hz": 128.0, "n_channels": 19}},
        "xray": {**head, "paths": (f"{PLACE}/R1",), "meta": {"format": "dicom", "view_position": "PA"}},
        "record": {**rows, "paths": (f"{NO_FILES}/record",)},
        "note": {**rows, "paths": (f"{NO_FILES}/note",)},
    }
    forms: dict[str, Evidence | Rejected] = {
        m: Evidence.model_validate({"modality": m, **given}) for m, given in made.items()
    }
    refused = REFUSED.model_copy(update={"root": NO_FILES, "paths": slices, "acquired_at": TOKEN_TIME})
    return {**forms, "refused": refused}


def _rejected(found: pa.Table) -> pd.DataFrame:
    """REJECTED_COLUMNS of the findings that were refused."""
    told = [Rejected.model_validate_json(one) for one in found["finding"].to_pylist()]
    lines = [(f"{one.root}/{one.paths[0]}", one.modality, one.code, one.why, one.mend) for one in told]
    return pd.DataFrame(lines, columns=list(REJECTED_COLUMNS))


class _Table:
    """A table of the cohort, written piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path, self._writer = path, cast("pq.ParquetWriter | None", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, columns: Mapping[str, pa.Array]) -> None:
        """Append some rows; the first say what the columns are."""
        table = pa.table(dict(columns))
        self._writer = self._writer or pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=ROW_GROUP)


def _text(values: Array) -> pa.Array:
    return pa.array(values.astype(str), pa.string())


def _moments(minutes: Array) -> Array:
    return np.datetime64(FIRST_DECISION.replace(tzinfo=None), "us") + minutes.astype("timedelta64[m]")


def _times(minutes: Array, none: int | None = None) -> pa.Array:
    """UTC; unknown where the minute is `none`."""
    return pa.array(_moments(minutes), pa.timestamp("us", tz="UTC"), mask=None if none is None else minutes == none)
