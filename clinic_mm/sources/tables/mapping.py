"""The mapping file of a table: which column is the patient, the time, the values, and how each is called.

In:  TOML, or a dictionary of the same form.
Out: a frozen `Mapping`. Every mistake gets a TaskError. Nothing here opens a table.

    layout = "wide"                                  # wide | long | notes | files
    patient = "patient_id"
    time = { origin = 2000-01-01T00:00:00Z, offset_days = ["-admission_offset", "crp_offset"] }
    missing = [-1]
    columns.crp_val = { code = "loinc:1988-5", unit = "mg/L" }
"""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from clinic_mm.errors import TaskError
from clinic_mm.toml_file import fitted, read_toml
from clinic_mm.types import Frozen

SEE_DOCS: Final = "See docs/cohort_file.md"
Category = Literal[
    "demographic",
    "observation",
    "condition",
    "medication",
    "procedure",
    "encounter",
    "report",
    "imaging",
    "allergy",
]


class TimeRule(Frozen):
    """When a row was known: an ISO time in a column, or an origin plus a signed sum of columns.

    Attributes:
        column: Column with an ISO 8601 time.
        origin: What offsets count from; where patients have no common time, any moment does, such as 2000-01-01.
        offset_days: Columns summed, each with a "-" in front where it counts backwards.
        offset_h: The same in hours; a column may also hold clock texts such as "07:30" or "47:05".
        offset_min: The same in minutes.

    A row in which any of the columns is empty is undated.
    """

    column: str = ""
    origin: AwareDatetime | None = None
    offset_days: tuple[str, ...] = ()
    offset_h: tuple[str, ...] = ()
    offset_min: tuple[str, ...] = ()

    @property
    def has_offsets(self) -> bool:
        """Whether it counts from an origin."""
        return bool(self.offset_days or self.offset_h or self.offset_min)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.column) == self.has_offsets:
            raise TaskError("A time is either a column or offsets from an origin", "time", SEE_DOCS)
        return self


class Column(Frozen):
    """How one column, or one code of a long table, is called.

    Attributes:
        code: As it stands in the record; the column's own name where empty.
        unit: UCUM where possible.
        category: Overrides that of the mapping.
        display: In words.
        time: Overrides that of the mapping (a column's name, or a rule).
        values: Other names for its texts or numbers (`{"0" = "male", "1" = "female"}`); what is not named stays.
    """

    code: str = ""
    unit: str = ""
    category: Category | None = None
    display: str = ""
    time: TimeRule | str | None = None
    values: dict[str, str] = Field(default_factory=dict)


class Mapping(Frozen):
    """How one table is read.

    Attributes:
        layout: `wide`: a row per patient or visit. `long`: a row per value. `notes`: a row per note.
            `files`: a row per file of evidence.
        patient: Column with the source's patient id.
        time: When a row was known (a column's name, or a rule); undated where None.
        category: Of all facts that do not say otherwise.
        missing: Numbers or texts that stand for "not recorded".
        columns: Wide: the columns read, or "all" but those in `except`.
        code, value, unit: Long: columns with the code, the value, the unit.
        ref_low, ref_high: Long: columns with the ends of the reference range, in the same unit.
        codes: Long: how single codes are called; a code that is not named keeps its own name.
        text, kind: Notes: columns with the text and, where there is one, the type of note.
        path: Files: template of the path relative to the table, such as "images/{image_id}.jpg".
        modality: Files: which modality the files are.
        meta: Files: columns kept as facts of the file.
    """

    layout: Literal["wide", "long", "notes", "files"]
    patient: str
    time: TimeRule | str | None = None
    category: Category = "observation"
    missing: tuple[float | str, ...] = ()
    columns: dict[str, Column] | Literal["all"] = Field(default_factory=dict)
    except_: tuple[str, ...] = Field(default=(), alias="except")
    code: str = ""
    value: str = ""
    unit: str = ""
    ref_low: str = ""
    ref_high: str = ""
    codes: dict[str, Column] = Field(default_factory=dict)
    text: str = ""
    kind: str = ""
    path: str = ""
    modality: str = ""
    meta: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {"wide": ("columns",), "long": ("code", "value"), "notes": ("text",), "files": ("path", "modality")}
        for name in needed[self.layout]:
            if not getattr(self, name):
                raise TaskError(f'A mapping with layout = "{self.layout}" needs {name}', f"mapping / {name}", SEE_DOCS)
        if self.except_ and self.columns != "all":
            raise TaskError('except belongs to columns = "all"', "mapping / except", "Name only the columns wanted")
        return self


def parse_mapping(given: dict[str, object], where: str = "mapping") -> Mapping:
    """Check a dictionary and freeze it.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    return fitted(Mapping, given, where, SEE_DOCS)


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        TaskError: If the file is absent, not TOML, or not a mapping.
    """
    return parse_mapping(read_toml(path, "mapping file", SEE_DOCS), str(path))
