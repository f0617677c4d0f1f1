import pytest

from clinic_mm.sources.eeg.annotations import MOST, annotation_code, safe_text, told


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Seizure onset", "seizure"),
        ("EEG SZ L temporal", "seizure"),
        ("XLSpike", "spike"),
        ("Sharp wave F8", "spike"),
        ("muscle artifact", "artefact"),
        ("Sleep stage N2", "stage"),
        ("HV start", "hyperventilation"),
        ("Photic 12 Hz", "photic"),
        ("14 Hz", "photic"),
        ("Eyes Closed", "eyes_closed"),
        ("EO", "eyes_open"),
        ("Blink", "eyes"),
        ("A1+A2 OFF", "montage"),
        ("T1", "stimulus"),
        ("Stimulus/S 12", "stimulus"),
        ("New Segment/", "boundary"),
        ("boundary", "boundary"),
        ("nurse enters", ""),
        ("", ""),
    ],
)
def test_words_become_codes(text: str, code: str) -> None:
    assert annotation_code(text) == code


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Seizure, right temporal", "Seizure, right temporal"),
        ("Jane Doe moving", "… moving"),
        ("born 12.03.1971", "… …"),
        ("MRN 00123456 eyes open", "… eyes open"),
        ("Tel 030-123 45 67", "…"),
        ("Photic 12 Hz", "Photic 12 Hz"),
        ("Fp1-F7 sharp", "Fp1-F7 sharp"),
        ("T3, t5 spikes 1987", "T3, t5 spikes …"),
        ("O'Brien talking to Müller-Schmidt", "… talking to …"),
        ("Stimulus/S 12", "Stimulus/S 12"),
        ("a\x00b\x1bc\n", "…"),
        ("x" * 5000, "…"),
    ],
)
def test_what_could_name_a_person_is_masked(text: str, safe: str) -> None:
    masked = safe_text(text)
    assert masked == safe or masked.replace(" …", "") == safe.replace(" …", "")
    assert not {"Jane", "Doe", "Brien", "Müller", "1971", "00123456", "1987"} & set(masked.replace("-", " ").split())
    assert safe_text(masked) == masked


def test_annotations_come_in_time_order_and_not_without_end() -> None:
    many = [(float(i % 7), 0.0, "spike") for i in range(MOST + 5)] + [(float("nan"), 0.0, "spike")]
    kept, events = told(many)
    assert len(kept) == len(events) == MOST
    assert [one[0] for one in kept] == sorted(one[0] for one in kept)
