"""What is wrong with leads is said, and what two of them determine is computed."""

import numpy as np
import pytest

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ecg.checked import checked
from clinic_mm.sources.ecg.leads import coded_lead, lead_name
from tests.sources.ecg.made import LEADS, SFREQ_HZ, heart


def leads_of(mv: np.ndarray, names: tuple[str, ...] = LEADS) -> dict[str, np.ndarray]:
    return {name: mv[LEADS.index(name)].astype(np.float32) for name in names}


def codes(mv: np.ndarray, names: tuple[str, ...] = LEADS) -> list[str]:
    return [flag.code for flag in checked(leads_of(mv, names), SFREQ_HZ).flags]


@pytest.mark.parametrize(
    ("label", "lead"),
    [
        *[("I", "I"), ("Lead II", "II"), ("ECG V1", "V1"), ("AVR", "aVR"), ("ekg_avl", "aVL"), ("DIII", "III")],
        *[("C3", "V3"), ("-aVR", None), ("V7", None), ("V4R", None), ("EEG C3", None), ("", None), ("MLII", None)],
    ],
)
def test_a_label_is_a_lead_by_the_table_alone(label: str, lead: str | None) -> None:
    assert lead_name(label) == lead


def test_codes_of_both_standards_name_the_same_leads() -> None:
    for number, lead in ((1, "I"), (3, "V1"), (8, "V6"), (61, "III"), (62, "aVR"), (64, "aVF")):
        assert coded_lead("MDC", f"2:{number}") == coded_lead("SCPECG", f"5.6.3-9-{number}") == lead
    assert coded_lead("MDC", "2:9") is None


@pytest.mark.parametrize("pair", [("I", "II"), ("II", "III"), ("I", "III"), ("aVL", "aVF"), ("I", "aVR")])
def test_any_two_limb_leads_make_the_other_four(pair: tuple[str, str]) -> None:
    mv = heart()
    made = checked(leads_of(mv, (*pair, *LEADS[6:])), SFREQ_HZ)
    assert made.leads == LEADS
    np.testing.assert_allclose(made.millivolts, mv, atol=1e-5)
    assert [flag.code for flag in made.flags] == ["ecg.leads_derived"]


def test_limb_leads_that_contradict_each_other_are_flagged_and_a_drift_is_no_contradiction() -> None:
    mv = heart()
    swapped = mv.copy()
    swapped[[0, 2]] = mv[[2, 0]]
    swapped[2] *= -1
    assert "ecg.einthoven" in codes(swapped)
    doubled = mv.copy()
    doubled[4] *= 2
    assert codes(doubled) == ["ecg.einthoven"]
    drift = np.sin(np.arange(mv.shape[1]) / 200)
    drifting = mv + np.outer([0.3, 0.1, -0.2, -0.2, 0.25, -0.05, *[0.2] * 6], drift)
    assert codes(drifting) == []


def test_bad_leads_are_left_out_and_limb_leads_replaced() -> None:
    mv = heart()
    mv[1], mv[7] = 0.3, np.clip(mv[7], -0.1, 0.01)
    made = checked(leads_of(mv), SFREQ_HZ)
    assert made.bad == ("V2",)
    assert {flag.code for flag in made.flags} == {"ecg.flat_lead", "ecg.clipped", "ecg.leads_derived"}
    np.testing.assert_allclose(made.millivolts[1], heart()[1], atol=1e-5)


def test_gaps_cost_a_lead_and_too_few_leads_the_ecg() -> None:
    mv = heart()
    mv[6, 500:900] = np.nan
    assert checked(leads_of(mv), SFREQ_HZ).bad == ("V1",)
    assert "ecg.leads_missing" in codes(mv, LEADS[:10])
    with pytest.raises(EvidenceError, match="7 of the 12 leads"):
        checked(leads_of(heart(), LEADS[:7]), SFREQ_HZ)


@pytest.mark.parametrize(("scale", "seconds", "code"), [(1000, 10, "ecg.scale"), (0.001, 10, "ecg.scale"),
                                                        (1, 3, "ecg.too_short"), (1, 700, "ecg.too_long")])  # fmt: skip
def test_what_no_resting_ecg_has_is_refused(scale: float, seconds: float, code: str) -> None:
    mv = scale * heart(seconds)
    with pytest.raises(EvidenceError) as error:
        checked(leads_of(mv), SFREQ_HZ)
    assert error.value.code == code


def test_the_mains_are_heard() -> None:
    mv = heart()
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(mv.shape[1]) / SFREQ_HZ)
    mv[:6] += np.outer([1, 1, 0, -1, 0.5, 0.5], hum)
    assert codes(mv) == ["ecg.mains"]
