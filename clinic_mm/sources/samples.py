"""What an ingest file says of tables of samples: which column is which lead, or the gaze, and in which unit.

In:  `[source.options]` of cohort.toml. Out: frozen models, which travel with the evidence as its locator.

A table that says all this by its column names needs no such declaration. Nothing here opens a file.
"""

from collections.abc import Mapping
from typing import Final, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.toml_file import fitted
from clinic_mm.types import Frozen

SEE_DOCS: Final = "See docs/cohort_file.md"
TimeUnit = Literal["s", "ms", "us"]
SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
D = TypeVar("D", bound="Declared")


class Declared(Frozen):
    """What one kind of table is declared to be."""

    @property
    def locator(self) -> str:
        """This declaration as a piece of evidence carries it, "" where names say all."""
        return self.model_dump_json(exclude_defaults=True)


class LeadColumns(Declared):
    """A table of an ECG: one row per sample, one column per lead.

    Attributes:
        unit: Of all leads: `mV`, `uV`, …, as `schemas/ecg_leads.toml` knows it.
        sfreq_hz: Sampling rate, where no column holds the time.
        time: Column with the time of each sample, where no rate is given.
        time_unit: Its unit.
        columns: Lead and its column; where empty, columns are told by their names (`I`, `lead_II`, `V1`).
    """

    unit: str
    sfreq_hz: float | None = Field(default=None, gt=0)
    time: str = ""
    time_unit: TimeUnit = "s"
    columns: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if (self.sfreq_hz is None) == (not self.time):
            raise TaskError("An ECG table has either a rate or a column of times", "options / sfreq_hz", SEE_DOCS)
        return self


class GazeColumns(Declared):
    """A table of eye tracking: one row per sample.

    Attributes:
        time: Column with the time of each sample.
        time_unit: Its unit.
        x: Column with the point of gaze, to the right.
        y: The same, downward.
        unit: Of x and y: `deg`, `px`, or `norm` (0 to 1 across the screen).
        pupil: Column with the pupil's diameter, "" for none.
        pupil_unit: `mm`, or `au` for the tracker's own.
        valid: Column that says whether the tracker saw the eye, "" for none.
        valid_is: Its values that say so.
        screen: Width and height of the screen in the unit of x and y.
        screen_mm: The same in millimetres; with `distance_mm` it turns x and y into degrees.
        distance_mm: From the eye to the screen.
    """

    time: str
    time_unit: TimeUnit = "s"
    x: str
    y: str
    unit: Literal["deg", "px", "norm"]
    pupil: str = ""
    pupil_unit: Literal["mm", "au"] = "au"
    valid: str = ""
    valid_is: tuple[str, ...] = ("1", "true")
    screen: tuple[float, float] | None = None
    screen_mm: tuple[float, float] | None = None
    distance_mm: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.screen_mm is None) != (self.distance_mm is None):
            mend = "Give screen_mm = [width, height] and distance_mm"
            raise TaskError("Degrees need the size of the screen and how far it is", "options / screen_mm", mend)
        for name in ("screen", "screen_mm"):
            if (size := getattr(self, name)) is not None and min(size) <= 0:
                raise TaskError("The screen has no such size", f"options / {name}", "Give [width, height], above 0")
        if self.unit == "px" and self.screen_mm and not self.screen:
            raise TaskError(
                "Pixels need the size of the screen in pixels", "options / screen", "Write screen = [1920, 1080]"
            )
        return self


def declared_as(model: type[D], options: Mapping[str, object]) -> D | None:
    """What a source declares of its tables; None where it declares nothing.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    return fitted(model, options, "source / options", SEE_DOCS) if options else None


def from_locator(model: type[D], locator: str) -> D | None:
    """The declaration that a piece of evidence carries; None where its column names say all.

    Raises:
        EvidenceError: `table.locator` if the manifest holds something else.
    """
    if not locator:
        return None
    try:
        return model.model_validate_json(locator)
    except (ValidationError, TaskError):
        what, mend = "The manifest does not say what the columns of the table mean", "Run clinic-mm ingest again"
        raise EvidenceError("table.locator", what, "", mend) from None
