"""Everything that a report says beside the Prediction: when, by which model, for whom, and what people did with it.

In:  plain values. Out: one frozen object that text, page, PDF, FHIR and SR are given alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from clinic_mm.errors import InputError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run_info import RunInfo
from clinic_mm.report.signed import UNSIGNED, Signed
from clinic_mm.types import Frozen


class Whose(Frozen):
    """Who the patient is, as the source names it: in a report only where the operator asked for it (`--identified`).

    Attributes:
        name: As in DICOM: `Family^Given`.
        patient_id: The site's own number.
        sex: `F`, `M`, `O`, or "" where unknown.
    """

    name: str
    patient_id: str
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all spellings of one report share.

    Attributes:
        created: When it is written, with a zone.
        model_name: The artifact's name.
        labels: Modality name to label; the modality table's where left out.
        simulated: Says so on every page and in every resource.
        whose: None, and then the report has the pseudonym alone.

    Raises:
        InputError: If `created` has no zone.
    """

    created: datetime
    model_name: str
    model_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False
    signed: Signed = UNSIGNED
    whose: Whose | None = None

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise InputError("The time of a report has no zone", "created", "Give an aware datetime")

    @property
    def created_utc(self) -> datetime:
        """The time of writing in UTC, whole milliseconds."""
        utc = self.created.astimezone(UTC)
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)

    @property
    def model(self) -> str:
        """Name and version."""
        return f"{self.model_name} {self.model_version}".strip()


def setting_of(info: RunInfo, prediction: Prediction, signed: Signed = UNSIGNED) -> Setting:
    """The setting of a report on an answer of a run: the same acts give the same report, whenever it is asked for.

    It counts as written when it was signed; else when the answer was made, or the run was finished.
    """
    made = signed.signed_at or prediction.created_at or info.finished_at or datetime.now(UTC)
    return Setting(made, info.model.name, info.model.version, simulated=info.simulated, signed=signed)
