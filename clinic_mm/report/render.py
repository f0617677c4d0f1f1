"""One report in the spelling that is asked for: the one place that command and dashboard call.

In:  a Prediction, its setting, the name of a spelling. Out: bytes.

Each spelling is imported when it is asked for: reportlab and highdicom take longer to load than to write.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from clinic_mm.errors import InputError, UsageError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.setting import Setting

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    Writer = Callable[[Prediction, Setting, Sequence[Dataset]], bytes]

SUFFIXES: Final = {"text": ".txt", "html": ".html", "pdf": ".pdf", "fhir": ".json", "sr": ".dcm"}
"""Name of each spelling, and of its files."""
BINARY: Final = frozenset({"pdf", "sr"})
"""What does not belong on a terminal."""
MEDIA_TYPES: Final = {
    "text": "text/plain; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "fhir": "application/fhir+json",
    "sr": "application/dicom",
}


def rendered(prediction: Prediction, setting: Setting, spelling: str, sources: "Sequence[Dataset]" = ()) -> bytes:
    """Write one report.

    Args:
        prediction: The stored answer.
        setting: When, by which model, what people did.
        spelling: One of SUFFIXES.
        sources: Headers of the images it rests on; only a DICOM SR refers to them.

    Raises:
        UsageError: If there is no such spelling.
        InputError: If people acted on another answer than this one.
    """
    of = setting.signed.answer_hash
    if of and of != prediction.content_hash:
        mend = "Report from the run whose answer was signed, or have the newer answer read"
        raise InputError("People acted on another answer than this one", f"case {prediction.case_key}", mend)
    return _writer(checked_spelling(spelling))(prediction, setting, sources)


def checked_spelling(spelling: str) -> str:
    """The spelling, if there is one of that name.

    Raises:
        UsageError: If there is none.
    """
    if spelling not in SUFFIXES:
        raise UsageError(f"There is no report as {spelling!r}", "--format", f"Possible: {', '.join(SUFFIXES)}")
    return spelling


def _writer(spelling: str) -> "Writer":
    return {"text": _text, "html": _html, "pdf": _pdf, "fhir": _fhir, "sr": _sr}[spelling]


def _text(prediction: Prediction, setting: Setting, _: "Sequence[Dataset]") -> bytes:
    from clinic_mm.report.card import as_text

    labels, simulated = setting.labels, setting.simulated
    text = as_text(prediction, labels, simulated=simulated, signed=setting.signed, whose=setting.whose)
    return text.encode()


def _html(prediction: Prediction, setting: Setting, _: "Sequence[Dataset]") -> bytes:
    from clinic_mm.report.html import html_report

    return html_report(prediction, setting).encode()


def _pdf(prediction: Prediction, setting: Setting, _: "Sequence[Dataset]") -> bytes:
    from clinic_mm.report.pdf import pdf_report

    return pdf_report(prediction, setting)


def _fhir(prediction: Prediction, setting: Setting, _: "Sequence[Dataset]") -> bytes:
    from clinic_mm.report.fhir import fhir_report, report_bytes

    return report_bytes(fhir_report(prediction, setting, validate=True))


def _sr(prediction: Prediction, setting: Setting, sources: "Sequence[Dataset]") -> bytes:
    from clinic_mm.report.dicom_sr import sr_bytes, sr_report

    return sr_bytes(sr_report(prediction, setting, sources))
