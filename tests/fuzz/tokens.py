"""Plant who somebody is in every place of a file that can hold it, so that it can be looked for where it must not be.

In:  a folder and a random generator. Out: DICOM, EDF, FHIR and text files, good ones and hurt ones, and the tokens.

Every token is unlike any word or number of ours, so that finding one is a leak and nothing else.
"""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.fuzz.dicom_lies import lie, take
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import radiograph, series
from tests.sources.eeg.edf_files import write_edf

DICOM_TEXTS = (
    "AccessionNumber",
    "AdditionalPatientHistory",
    "AdmissionID",
    "DeviceSerialNumber",
    "ImageComments",
    "InstitutionAddress",
    "InstitutionName",
    "OperatorsName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientBirthName",
    "PatientComments",
    "PatientID",
    "PatientMotherBirthName",
    "PatientName",
    "PatientTelephoneNumbers",
    "PerformingPhysicianName",
    "ProtocolName",
    "ReferringPhysicianName",
    "RequestedProcedureDescription",
    "SeriesDescription",
    "StationName",
    "StudyDescription",
    "StudyID",
)


class Tokens:
    """Makes tokens and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def word(self) -> str:
        """A word of 12 letters, another one each time."""
        number, letters = len(self.made), ""
        for _ in range(6):
            number, letter = divmod(number * 7 + 3, 19)
            letters += "bcdfghjklmnpqrstvwz"[letter]
        self.made.append(f"Qx{letters}{len(self.made):04d}")
        return self.made[-1]

    def birth(self) -> str:
        """A day of birth far from every other date of the files."""
        day = f"1887{1 + len(self.made) % 12:02d}{1 + len(self.made) % 28:02d}"
        self.made += [day, f"{day[:4]}-{day[4:6]}-{day[6:]}"]
        return day

    def in_bytes(self, data: bytes) -> list[str]:
        """Those that stand in some bytes, whatever their case."""
        low = data.lower()
        return [token for token in dict.fromkeys(self.made) if token.lower().encode() in low]


def plant(folder: Path, n: int, seed: int) -> Tokens:
    """Write files of every kind about somebody, and `n` hurt copies of them.

    File and folder names are tokens too.
    """
    rng, tokens = np.random.default_rng(seed), Tokens()
    for number in range(4 + n):
        hurt = number >= 4
        name = tokens.word()
        place = folder / f"{'hurt' if hurt else 'good'}{number % 4}" / name
        place.mkdir(parents=True)
        for file, data in _files(tokens, number % 4):
            (place / f"{tokens.word()}{file}").write_bytes(_hurt(rng, file, data) if hurt else data)
    return tokens


def _hurt(rng: np.random.Generator, file: str, data: bytes) -> bytes:
    if file == ".dcm" and rng.random() < 0.5:
        return lie(rng, take(data))[2]
    return mutate(rng, data)[1]


def _files(tokens: Tokens, kind: int) -> Iterator[tuple[str, bytes]]:
    match kind:
        case 0:
            yield ".dcm", _dicom(tokens, radiograph(ExplicitVRLittleEndian))
        case 1:
            owner = tokens.word()
            for data in series(ExplicitVRLittleEndian):
                yield ".dcm", _dicom(tokens, data, PatientID=owner)
        case 2:
            yield ".json", _fhir(tokens)
            yield ".txt", f"{tokens.word()} {tokens.word()}, born {tokens.birth()}: feels weak.".encode()
        case _:
            yield ".edf", _edf(tokens)


def _dicom(tokens: Tokens, data: bytes, **fixed: str) -> bytes:
    """Every text element of a person or a place, private ones, nested ones, the file meta and the preamble."""
    dataset = dcmread(BytesIO(data))
    for keyword in DICOM_TEXTS:
        setattr(dataset, keyword, fixed.get(keyword) or tokens.word())
    dataset.PatientBirthDate = tokens.birth()
    block = dataset.private_block(0x0011, tokens.word(), create=True)
    for element, vr in enumerate(("LO", "SH", "LT", "ST", "UT", "PN", "UN")):
        block.add_new(element, vr, tokens.word().encode() if vr == "UN" else tokens.word())
    inner = Dataset()
    inner.PatientName, inner.CodeMeaning = tokens.word(), tokens.word()
    dataset.ReferencedPatientSequence = [inner]
    dataset.file_meta.SourceApplicationEntityTitle = tokens.word()
    dataset.file_meta.ImplementationVersionName = tokens.word()[:16]
    dataset.preamble = tokens.word().encode().ljust(128, b"\0")
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _fhir(tokens: Tokens) -> bytes:
    who, born = tokens.word(), tokens.birth()
    patient = {
        "resourceType": "Patient",
        "id": who,
        "name": [{"family": tokens.word(), "given": [tokens.word()]}],
        "identifier": [{"system": tokens.word(), "value": tokens.word()}],
        "address": [{"line": [tokens.word()], "city": tokens.word()}],
        "telecom": [{"value": tokens.word()}],
        "contact": [{"name": {"text": tokens.word()}}],
        "text": {"div": f"<div>{tokens.word()}</div>"},
        "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "gender": tokens.word(),
    }
    observation = {
        "resourceType": "Observation",
        "id": tokens.word(),
        "status": "final",
        "subject": {"reference": f"Patient/{who}", "display": tokens.word()},
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}], "text": tokens.word()},
        "effectiveDateTime": "2024-01-02T10:00:00Z",
        "valueQuantity": {"value": "not a number", "unit": tokens.word()},
        "note": [{"text": tokens.word()}],
    }
    entries = [{"fullUrl": f"urn:uuid:{tokens.word()}", "resource": one} for one in (patient, observation)]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def _edf(tokens: Tokens) -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        raw = bytearray(write_edf(Path(folder) / "a.edf").read_bytes())
    raw[8:88] = f"{tokens.word()} F 05-MAY-1887 {tokens.word()}".ljust(80).encode()
    raw[88:168] = f"Startdate 02-JAN-2024 {tokens.word()} {tokens.word()}".ljust(80).encode()
    return bytes(raw)
