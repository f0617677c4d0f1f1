"""What became of cases with a near answer: counted by hand, and nothing said of few."""

from pathlib import Path

from clinic_mm.report.run import Prediction
from clinic_mm.store import Store, alike
from clinic_mm.store.sealed import evidence_only
from tests.report.predictions import made_up
from tests.report.silent import leaked, telling
from tests.store.conftest import write_made_run


def test_a_sealed_case_holds_the_evidence_and_no_number_of_the_answer(store: Store) -> None:
    found = store.evidence_of("c01")
    assert found is not None
    assert found.pattern
    assert (found.probabilities, found.decision, found.subsets, found.shapley) == ((), "", {}, {})
    assert found.withheld


def test_only_what_is_named_passes_the_seal() -> None:
    full = telling(made_up("k", {"ct": 1.4, "record": -0.5}))
    kept = evidence_only(full)
    assert leaked(full, kept.model_dump_json()) == []
    changed = {name for name in Prediction.model_fields if getattr(kept, name) == getattr(full, name)}
    assert not changed & {"probabilities", "decision", "prediction_set", "subsets", "shapley", "interactions", "within"}


def test_near_cases_with_known_outcomes_are_counted_and_the_case_itself_is_not(store: Store, tmp_path: Path) -> None:
    assert store.alike("c03") is None  # too few are known
    near = {f"d{n:02}": 0.3 + 0.01 * n for n in range(alike.FEWEST)}
    store.import_run(write_made_run(tmp_path / "run", {**near, "far": -6.0}, run_id="r2"))
    found = store.alike("d00")
    assert found is not None
    assert found == (alike.FEWEST, found.positive, "positive")  # the nine others and c03
    assert found.positive == found.n
    store.outcome("d05", verdict="negative", source="pathology")  # comes later than the label, and counts instead
    assert store.alike("d00") == (found.n, found.positive - 1, "positive")
    store.outcome("d00", verdict="negative", source="pathology")
    assert store.alike("d00") == (found.n, found.positive - 1, "positive")
    assert store.alike("far") is None
