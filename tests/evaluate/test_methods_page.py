"""The page of methods names every method, and types no figure by hand."""

from pathlib import Path

from clinic_mm.bundle import policy
from clinic_mm.evaluate.methods_page import FAMILIES, methods_page

ROWS = policy("methods")["method"]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"


def _row(name: str, **more: object) -> dict[str, object]:
    spans = {f"{key}{end}": 0.5 for key in ("auroc", "nll") for end in ("", "_low", "_high")}
    return {"method": name, **spans, "refused": "", **more}


def _told(**more: object) -> dict[str, object]:
    return {
        "simulated": True, "n_cases": 7, "n_patients": 6, "modalities": ["a", "b"], "repeats": 2, "test_share": 0.2,
        "folds": 3, "learning": "feature", "words": "Said.", "best_elsewhere": None,
        "methods": [_row("default"), _row("single:a"), {"method": "tensor", "auroc": None, "refused": "too large"}],
        "areas": [{"dropped": "modalities", "method": "default", "area": 0.61, "ours_minus": 0.0}],
        **more,
    }  # fmt: skip


def test_every_family_of_the_table_has_its_place() -> None:
    assert {row["family"] for row in ROWS} <= set(FAMILIES)


def test_every_method_stands_on_the_page_of_the_docs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for row in ROWS:
        assert f"| `{row['name']}` | {row['label']} |" in text


def test_results_say_simulated_and_what_was_refused() -> None:
    page = methods_page(ROWS, {"Made": _told()}, "the command")
    assert "## Made · SIMULATED" in page
    assert "`tensor` could not: too large" in page
    assert "| **default** | 0.500 (0.500 to 0.500) |" in page
    assert "0.610" in page
    assert "| single:a |" in page
    assert "the command" in page


def test_a_bar_in_an_equation_does_not_end_its_cell() -> None:
    row = {**ROWS[0], "equation": "p | q"}
    assert "p \\| q" in methods_page([row], {}, "c")
