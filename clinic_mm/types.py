"""The plain nouns that cross rooms and borders: evidence, the three kinds of no, and the case.

All are frozen pydantic models, so that what is written to disk and what is held in memory are one thing.
Nothing here reads a file.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Final, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, ValidationError

SCHEMA_VERSION: Final = "1.0"
"""Major version of everything persisted; an unknown major version is refused with the mend."""


class Frozen(BaseModel):
    """Base of all border-crossing models: immutable, and no field that we do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


def first_mistake(error: ValidationError, model: type[BaseModel]) -> tuple[str, str]:
    """What is wrong with a file that a person wrote, and in which field: never the value itself.

    Args:
        error: What pydantic says.
        model: What was asked of it; an unknown field is answered with the nearest of its fields.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return "This field is needed", field
    if first["type"] != "extra_forbidden":
        return first["msg"], field
    name = str(first["loc"][-1])
    inside = [part for part in first["loc"][:-1] if isinstance(part, str)]
    near = get_close_matches(name, {known for one in _models(model, inside) for known in one.model_fields}, n=1)
    return f"There is no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""), field


def _models(model: type[BaseModel], inside: list[str]) -> Iterator[type[BaseModel]]:
    """The models at a place; the key of a dictionary is passed over."""
    if not inside:
        yield model
    elif inside[0] in model.model_fields:
        for deeper in _named(model.model_fields[inside[0]].annotation):
            yield from _models(deeper, inside[1:])
    else:
        yield from _models(model, inside[1:])


def _named(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _named(part)


class Flag(Frozen):
    """Something a reader saw that does not forbid use but must be shown: a stable code and why."""

    code: str
    why: str


class Evidence(Frozen):
    """One usable piece of evidence: where it lies, when it was acquired, what was seen on reading.

    `named`: the modality of a task that it is meant for, where a kind has several (gene expression and methylation);
    "" serves every modality of its kind. `paths` are relative to the named `root` (POSIX). `locator` names the part
    inside those files that is meant: a source patient id for a record, a row for a note. `until` cuts a record to
    what was known by then.
    `meta` holds small facts without identity: `spacing_mm`, `sfreq_hz`, `view_position`.
    """

    status: Literal["present"] = "present"
    modality: str
    named: str = ""
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
    named: str = ""
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


def serves(finding: Evidence | Rejected, name: str) -> bool:
    """Whether a finding is meant for the modality of that name; one that names none serves all of its kind."""
    return not (name and finding.named) or finding.named == name


class CaseRecord(Frozen):
    """One patient at one decision time, with all evidence known by then, oldest first in each modality."""

    case_key: str
    patient_key: str
    decision_time: AwareDatetime | None
    label: int | None = None
    evidence: dict[str, tuple[Finding, ...]] = Field(default_factory=dict)
    covariates: dict[str, JsonValue] = Field(default_factory=dict)

    def usable(self, kind: str, name: str = "") -> tuple[Evidence, ...]:
        """The usable evidence of one kind, oldest first; with a name, what serves the modality of that name."""
        return tuple(e for e in self.evidence.get(kind, ()) if isinstance(e, Evidence) and serves(e, name))

    @property
    def pattern(self) -> tuple[str, ...]:
        """Availability pattern: sorted names of the modalities with usable evidence."""
        return tuple(sorted(m for m in self.evidence if self.usable(m)))
