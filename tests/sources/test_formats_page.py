"""docs/formats.md and the readers name the same codes: none that no reader has, and every one that a reader has."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = "audio|ct|dicom|ecg|eeg|eye|fhir|file|meds|nifti|note|omics|omop|picture|table|xray"
CODE = re.compile(rf"(?:{KINDS})\.(?!parquet|py|toml|txt|csv)[a-z][a-z0-9_]+")


@cache
def in_code(folder: str) -> frozenset[str]:
    """Every code that stands as a text of its own in the code or in a policy table."""
    texts = {
        node.value
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return frozenset(text for text in texts if CODE.fullmatch(text))


def on_page() -> frozenset[str]:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    return frozenset(code for code in re.findall(r"`([^`]+)`", text) if CODE.fullmatch(code))


def test_every_code_of_the_page_is_in_the_code() -> None:
    known = in_code("clinic_mm")
    made = {code for code in on_page() - known if _is_made(code)}
    assert on_page() - known - made == frozenset()


def test_every_code_of_a_reader_is_on_the_page() -> None:
    assert in_code("clinic_mm/sources") - on_page() == frozenset()


def _is_made(code: str) -> bool:
    """`meds.` and `omop.` share checks, whose codes are put together of the source and what is wrong."""
    kind, _, what = code.partition(".")
    text = (ROOT / "clinic_mm" / "sources" / "record" / "checked.py").read_text(encoding="utf-8")
    return kind in {"meds", "omop"} and f'"{what}"' in text
