"""Small facts of an ECG, for the manifest."""

from clinic_mm.signals import EcgRecording


def facts(ecg: EcgRecording) -> dict[str, object]:
    """What the manifest says of an ECG: rate, leads, length."""
    seconds = round(ecg.millivolts.shape[1] / ecg.sfreq_hz, 3)
    return {"sfreq_hz": ecg.sfreq_hz, "n_leads": len(ecg.leads), "duration_s": seconds}
