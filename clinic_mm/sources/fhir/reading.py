"""What the readers of FHIR files share: times, whose a resource is, whether it stands, and what was left out.

In:  resources as plain dictionaries. Out: moments in microseconds since 1970, patient ids, counts of troubles.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from clinic_mm.sources.fhir.files import IDENTIFIED, FhirFile
from clinic_mm.sources.fhir.policy import Resource, statuses
from clinic_mm.times import parse_iso

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
MOMENTS_HELD: Final = 1 << 20


class Said(NamedTuple):
    """What one Patient resource says: sex, birth date, death, language, "" where nothing; number of the file."""

    sex: str
    born: str
    died: str
    language: str
    file: int


@dataclass(slots=True)
class Reading:
    """What the readers of files that are read together share.

    Attributes:
        zone: Of the site, for times without a zone.
        file: The file that is being read.
        number: Of that file.
        people: What was said of each patient.
        identifiers: `system|value` to the patients who have it.
        retracted: Patient, category and id of each resource that was entered in error.
    """

    zone: tzinfo
    file: FhirFile = field(default_factory=FhirFile)
    number: int = 0
    people: dict[str, list[Said]] = field(default_factory=dict)
    identifiers: dict[str, set[str]] = field(default_factory=dict)
    retracted: set[tuple[str, str, str]] = field(default_factory=set)
    _moments: dict[str, int | None] = field(default_factory=dict)

    def moment(self, *texts: object) -> int | None:
        """The first of several fields that can be read as a time, in microseconds since 1970."""
        known = self._moments
        for text in texts:
            if text.__class__ is str:
                if text not in known:
                    known[text] = self._read(text)
                if (at := known[text]) is not None:
                    return at
        return None

    def _read(self, text: str) -> int | None:
        """A time that was not met before; the values of one panel share theirs."""
        if len(self._moments) > MOMENTS_HELD:
            self._moments.clear()
        at = parse_iso(text, self.zone)
        return None if at is None else (at - EPOCH) // MICROSECOND

    def retract(self, resource: Resource, category: str) -> None:
        """A resource was entered in error: so was what an earlier version of it says."""
        self.trouble("fhir.entered_in_error")
        if one := resource_id(resource):
            who = self.file.patient(resource.get("subject") or resource.get("patient"))
            self.retracted.add((who, category, one))

    def trouble(self, code: str) -> None:
        """Count what was left out, and why."""
        self.file.troubles[code] += 1


def has_happened(resource: Resource, reading: Reading) -> bool:
    """Whether the status says that there is a fact; what is planned, cancelled or not done is counted."""
    status = resource.get("status")
    if status is None:
        return True
    fact, none = statuses(resource["resourceType"])
    if status in fact or not fact:
        return True
    reading.trouble("fhir.not_done" if status in none else "fhir.bad_status")
    return False


def entered_in_error(resource: Resource) -> bool:
    """Whether the source has taken the resource back."""
    if resource.get("status") == "entered-in-error":
        return True
    if "verificationStatus" not in resource:
        return False
    verification = (resource["verificationStatus"] or {}).get("coding") or ()
    return any(one.get("code") == "entered-in-error" for one in verification)


def resource_id(resource: Resource) -> str:
    """The resource's own id, "" where it has none."""
    one = resource.get("id")
    return one if isinstance(one, str) else ""


def owner_of(resource: Resource, reading: Reading) -> str:
    """Whose a resource is, "" where nobody can say or where the bundle is another patient's; that is counted."""
    who = reading.file.patient(resource.get("subject") or resource.get("patient"))
    only = reading.file.owner
    if not who:
        reading.trouble("fhir.no_patient")
    elif only and who != only and not who.startswith(IDENTIFIED):  # those are resolved when all is read
        reading.trouble("fhir.other_patient")
        return ""
    return who


def known_at(resource: Resource, reading: Reading) -> int | None:
    """When a result was known: the later of its measurement (end of a period) and its issue."""
    measured = reading.moment(resource.get("effectiveDateTime"), resource.get("effectiveInstant"))
    if measured is None and (period := resource.get("effectivePeriod")):
        measured = reading.moment(period.get("end"), period.get("start"))
    issued = reading.moment(resource.get("issued"))
    if measured is None or issued is None:
        return measured if issued is None else issued
    return max(measured, issued)
