import pytest

from clinic_mm.sources.eeg.channels import electrode_name, plan_channels


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("EEG FP1-REF", "Fp1"),
        ("Fc5.", "FC5"),
        ("C3..", "C3"),
        ("t3", "T7"),
        ("EEG T6-LE", "P8"),
        (" POL  a1 ", "A1"),
        ("C3-A2", "C3"),
        ("C4:M1", "C4"),
        ("Fp1-F7", "Fp1-F7"),
        ("EEG T3-T5", "T7-P7"),
        ("EEG Fp1-G2", "Fp1"),
        ("EEG C3-LE-0", "C3"),
        ("T8-P8-0", "T8-P8"),
        ("Fp1 - F7", "Fp1-F7"),
        ("C3/A2", "C3"),
        ("F3M2", "F3"),
        ("EEG F3 - Ref", "F3"),
        ("EEG C3-(A1+A2)/2", "C3"),
        ("EEG Fpz-Cz", "Fpz-Cz"),
        ("EEG_Fp1", "Fp1"),
        ("EEG 001", None),
        ("EEG 26-REF", None),
        ("ECG+-ECG-", None),
        ("Foo", None),
        ("C3-Foo", None),
        ("", None),
    ],
)
def test_labels_as_hospitals_write_them(label: str, name: str | None) -> None:
    assert electrode_name(label) == name


def test_what_is_not_eeg_is_left_out() -> None:
    others = ["Status", "STI 014", "ECG", "EKG1", "EOG left", "E1", "LOC", "EMG Chin", "DC01", "$A1", "X1", "Photic",
              "SaO2", "Resp", "EXG5", "acc1", "Trigger", "LEOG", "ECG ECG2", "POL E"]  # fmt: skip
    assert plan_channels(["Cz", *others], [True] * (1 + len(others))).names == ("Cz",)


def test_two_channels_of_one_name_are_both_left_out_and_flagged() -> None:
    plan = plan_channels(["T3", "T7", "Cz", "", "Pz"], [True] * 5)
    assert plan.names == ("Cz", "Pz")
    assert plan.keep == (2, 4)
    assert [flag.code for flag in plan.flags] == ["eeg.blank_label", "eeg.duplicate_label"]


def test_an_unknown_label_stays_and_is_flagged() -> None:
    plan = plan_channels(["EEG Foo", "Cz", "Pz"], [True, True, False])
    assert plan.names == ("EEG Foo", "Cz")
    assert [flag.code for flag in plan.flags] == ["eeg.not_voltage", "eeg.unplaced"]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("EEG EKG1-REF", "ecg"), ("ECG+-ECG-", "ecg"), ("ECGL-ECGR", "ecg"), ("H.R.", "ecg"),
        ("EOG horizontal", "eog"), ("E1-M2", "eog"), ("EEG LOC-REF", "eog"), ("EOGR", "eog"),
        ("EMG submental", "emg"), ("Chin1-Chin2", "emg"), ("PLMl", "emg"), ("Leg/L", "emg"),
        ("Resp oro-nasal", "resp"), ("RESP ABDOMEN-REF", "resp"), ("Effort THO", "resp"), ("NEW AIR", "resp"),
        ("SaO2", "oxygen"), ("PULSE RATE", "oxygen"), ("OX stat", "oxygen"),
        ("Event marker", "stim"), ("PHOTIC-REF", "stim"), ("DC4-DC", "stim"), ("STI101", "stim"),
        ("MKR+-MKR-", "other"), ("IBI", "other"), ("-", "other"), ("VNS", "other"), ("Temp rectal", "other"),
    ],
)  # fmt: skip
def test_what_else_is_recorded_is_told_by_kind(label: str, kind: str) -> None:
    plan = plan_channels(["Cz", label], [True, True])
    assert plan.names == ("Cz",)
    assert [one[1] for one in plan.others] == [kind]
