"""The plain nouns that cross rooms and borders: evidence, the three kinds of no, and the case.

All are frozen pydantic models, so that what is written to disk and what is held in memory are one thing.
Nothing here reads a file.
"""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

SCHEMA_VERSION: Final = "1.0"
"""Major version of everything persisted; an unknown major version is refused with the mend."""


class Frozen(BaseModel):
    """Base of all border-crossing models: immutable, and no field that we do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Flag(Frozen):
    """Something a reader saw that does not forbid use but must be shown: a stable code and why."""

    code: str
    why: str


class Evidence(Frozen):
    """One usable piece of evidence: where it lies, when it was acquired, what was seen on reading.

    `paths` are relative to the named `root` (POSIX). `locator` names the part inside those files that is meant:
    a source patient id for a record, a row for a note. `until` cuts a record to what was known by then.
    `meta` holds small facts without identity: `spacing_mm`, `sfreq_hz`, `view_position`.
    """

    status: Literal["present"] = "present"
    modality: str
    root: str
    paths: tuple[str, ...]
    locator: str = ""
    acquired_at: AwareDatetime | None = None
    until: AwareDatetime | None = None
    content_hash: str = ""
    flags: tuple[Flag, ...] = ()
    meta: dict[str, JsonValue] = Field(default_factory=dict)


class Absent(Frozen):
    """Never acquired. Normal."""

    status: Literal["absent"] = "absent"
    modality: str


class Rejected(Frozen):
    """Acquired, but not usable: a stable code and a reason that a person can act on."""

    status: Literal["rejected"] = "rejected"
    modality: str
    code: str
    why: str
    mend: str = ""
    root: str = ""
    paths: tuple[str, ...] = ()
    acquired_at: AwareDatetime | None = None


class Failed(Frozen):
    """Our fault: an unexpected error of our own, tried again and then reported."""

    status: Literal["failed"] = "failed"
    modality: str
    why: str
    tries: int = 1


Finding = Annotated[Evidence | Absent | Rejected | Failed, Field(discriminator="status")]
"""What stands in a case for one modality: something usable, or one of the three noes."""


class CaseRecord(Frozen):
    """One patient at one decision time, with all evidence known by then, oldest first in each modality."""

    case_key: str
    patient_key: str
    decision_time: AwareDatetime | None
    label: int | None = None
    evidence: dict[str, tuple[Finding, ...]] = Field(default_factory=dict)
    covariates: dict[str, JsonValue] = Field(default_factory=dict)

    def usable(self, modality: str) -> tuple[Evidence, ...]:
        """The usable evidence of one modality, oldest first."""
        return tuple(e for e in self.evidence.get(modality, ()) if isinstance(e, Evidence))

    @property
    def pattern(self) -> tuple[str, ...]:
        """Availability pattern: sorted names of the modalities with usable evidence."""
        return tuple(sorted(m for m in self.evidence if self.usable(m)))
