"""Open the tables of an OMOP common data model: CSV or Parquet, one file or several parts, names in any case.

In:  files of one CDM. Out: one frame for each table, columns in lower case; what each concept stands for.

Nothing here turns a row into a fact.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from clinic_mm import bundle
from clinic_mm.errors import EvidenceError, InputError
from clinic_mm.sources.found import rejection
from clinic_mm.sources.tables.table_file import open_columns
from clinic_mm.types import Rejected

PERSON: Final = "person"
CONCEPT_COLUMNS: Final = ("concept_id", "concept_name", "vocabulary_id", "concept_code")
READS: Final = ("5.3", "5.4")


@cache
def policy() -> dict[str, Any]:
    """`schemas/omop.toml`."""
    return bundle.policy("omop")


READ: Final = frozenset({*policy()["tables"], *policy()["other_tables"]["read"]})
"""Names of the tables that are read."""
NOT_READ: Final = frozenset(policy()["other_tables"]["not_read"])
"""Names of the tables that belong to a CDM and are passed over."""


class Concept(NamedTuple):
    """What a concept stands for: our code, the vocabulary's words, the vocabulary and its own code."""

    code: str
    name: str
    vocabulary: str
    own: str


def table_name(path: Path) -> tuple[Path, str]:
    """The folder of the CDM that a file belongs to, and the table it holds; a part is named by its folder."""
    name = path.name.split(".")[0].lower()
    if name in READ or name in NOT_READ:
        return path.parent, name
    folder = path.parent.name.lower()
    return (path.parent.parent, folder) if folder in READ or folder in NOT_READ else (path.parent, name)


class Cdm:
    """The tables of one CDM, open.

    Attributes:
        paths: Files of each table.
        frames: The tables that could be read, each row once.
        rejected: Those that could not.
        concepts: What the concepts that its rows use stand for.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.paths: dict[str, list[Path]] = {}
        for path in files:
            self.paths.setdefault(table_name(path)[1], []).append(path)
        self.frames: dict[str, pd.DataFrame] = {}
        self.rejected: list[Rejected] = []
        vocabulary = self.paths.pop("concept", [])
        for name, mine in self.paths.items():
            self._open(name, mine)
        _check_version(self.frames.get("cdm_source", pd.DataFrame()))
        try:
            self.concepts = _concepts(vocabulary, self._used())
        except EvidenceError as error:
            self.concepts = {}
            self.rejected.append(rejection(error, "record", vocabulary[0]))
        persons = self.frames.get(PERSON, pd.DataFrame({"person_id": []}))
        self._persons = set(self.texts(persons, "person_id")) - {""}

    def rows_of_persons(self, name: str, key: str, counts: Counter[str]) -> pd.DataFrame:
        """The rows of a table that belong to a known person; the others, and what stands there twice, are counted."""
        frame = self.frames[name]
        frame = frame.assign(person_id=self.texts(frame, "person_id"))
        stranger = ~frame["person_id"].isin(self._persons)
        counts["no_person"] += int(stranger.sum())
        twice = frame.duplicated()
        counts["duplicate"] += int((twice & ~stranger).sum())
        frame = frame[~stranger & ~twice]
        same_key = (
            frame.duplicated(key, keep=False) & frame[key].notna() if key in frame else pd.Series(False, frame.index)
        )
        counts["ambiguous"] += int(same_key.sum())
        return frame[~same_key]

    def numbers(self, frame: pd.DataFrame, name: str) -> "pd.Series[float]":
        """A column as numbers, NaN where it has none; all NaN where the table lacks it."""
        if name not in frame:
            return pd.Series(float("nan"), index=frame.index)
        return pd.to_numeric(frame[name], errors="coerce").astype("float64")

    def texts(self, frame: pd.DataFrame, name: str) -> "pd.Series[str]":
        """A column as text, "" where it has none; whole numbers without a decimal point."""
        if name not in frame:
            return pd.Series("", index=frame.index, dtype="str")
        cells = frame[name]
        if pd.api.types.is_float_dtype(cells) and (cells.dropna() % 1 == 0).all():
            cells = cells.astype("Int64")
        return cells.astype("str").where(cells.notna(), "").astype("str").str.strip()

    def codes(self, concept: "pd.Series[float]", source: "pd.Series[str]") -> "pd.Series[str]":
        """Codes of facts: of the concept, else the site's own word."""
        code = concept.map({one: known.code for one, known in self.concepts.items()}).astype("str")
        unknown = code.isna() & (concept > 0)
        code = code.mask(unknown, "omop:" + concept.where(unknown, 0).astype("int64").astype("str"))
        return code.mask(code.isna() & (source != ""), "local:" + source).fillna("").astype("str")

    def names(self, concept: "pd.Series[float]", source: "pd.Series[str]") -> "pd.Series[str]":
        """Words for concepts: the vocabulary's, else the site's own, else the bare concept."""
        words = concept.map({one: known.name for one, known in self.concepts.items()}).astype("str").fillna("")
        words = words.mask(words == "", source)
        bare = (words == "") & (concept > 0)
        return words.mask(bare, "omop:" + concept.where(bare, 0).astype("int64").astype("str"))

    def units(self, concept: "pd.Series[float]", source: "pd.Series[str]") -> "pd.Series[str]":
        """Units: UCUM where the vocabulary says so, else as the site writes them."""
        ucum = {one: known.own for one, known in self.concepts.items() if known.vocabulary == "UCUM"}
        return concept.map(ucum).astype("str").fillna(source)

    def _open(self, name: str, files: Sequence[Path]) -> None:
        try:
            frame = read_cdm_table(files)
            if name != "cdm_source" and "person_id" not in frame:
                what, mend = "A table of the CDM has no person_id", "Export it as CDM 5.4"
                raise EvidenceError("omop.no_persons", what, name, mend)
            self.frames[name] = frame
        except EvidenceError as error:
            self.rejected.append(rejection(error, "record", files[0]))

    def _used(self) -> set[int]:
        """Concepts that any row names."""
        used: set[int] = set()
        for frame in self.frames.values():
            for name in frame.columns:
                if str(name).endswith("_concept_id"):
                    ids = self.numbers(frame, str(name)).dropna().unique()
                    used.update(int(one) for one in ids if 0 < one < 2**53)
        return used


def read_cdm_table(files: Sequence[Path], columns: Collection[str] | None = None) -> pd.DataFrame:
    """One table of a CDM, all its parts, some or all columns.

    Raises:
        EvidenceError: `omop.unreadable`.
    """
    wanted = None if columns is None else set(columns)
    try:
        parts = [open_columns(path, wanted) for path in files]
    except InputError as error:
        raise EvidenceError("omop.unreadable", "A table of the CDM cannot be read", "", error.mend) from None
    return pd.concat(parts, ignore_index=True) if len(parts) != 1 else parts[0]


def _check_version(cdm_source: pd.DataFrame) -> None:
    """Refuse a CDM that says it is of another version.

    Raises:
        EvidenceError: `omop.version`.
    """
    stated = cdm_source["cdm_version"].dropna().astype("str") if "cdm_version" in cdm_source else pd.Series(dtype="str")
    for version in stated.str.strip().str.lower().str.replace("cdm", "").str.strip().str.removeprefix("v").unique():
        if version and not version.startswith(READS):
            what = f"This is a CDM of another version than {' and '.join(READS)}"
            raise EvidenceError("omop.version", what, "cdm_source / cdm_version", "Export it as CDM 5.4")


def _concepts(files: Sequence[Path], wanted: Collection[int]) -> dict[int, Concept]:
    """The concepts that are used, as the CDM's own vocabulary has them.

    Raises:
        EvidenceError: `omop.unreadable`.
    """
    if not files:
        return {}
    frame = read_cdm_table(files, CONCEPT_COLUMNS)
    if not set(CONCEPT_COLUMNS) <= set(frame.columns):
        raise EvidenceError("omop.unreadable", "The concept table lacks columns", "", "Export the vocabulary again")
    ids = pd.to_numeric(frame["concept_id"], errors="coerce")
    used = frame[ids.isin(list(wanted))].fillna("").astype("str")
    known = policy()["vocabularies"]
    return {
        int(float(one)): Concept(f"{known[named]}:{own}" if named in known and own else f"omop:{one}", name, named, own)
        for one, name, named, own in used[list(CONCEPT_COLUMNS)].itertuples(index=False, name=None)
    }
