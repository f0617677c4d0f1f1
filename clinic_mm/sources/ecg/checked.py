"""Check what a file holds as an ECG, whatever its format, and complete the leads that others determine.

In:  millivolts by lead, and a rate, as a file has them. Out: an `EcgRecording`, or `EvidenceError` with its code.

Einthoven's and Goldberger's equations make the limb leads of any two: what is computed by them is no guess, and is
flagged. Where all three stand in the file and contradict each other, that is said. Nothing here filters or resamples.

Source: Einthoven et al., Pflügers Arch 1913;150:275 (II = I + III); Goldberger, Am Heart J 1942;23:483.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import EcgRecording
from clinic_mm.sources.ecg.leads import lead_table
from clinic_mm.types import Flag

MEND: Final = "Export the ECG again"
LIMB: Final = ("I", "II", "III", "aVR", "aVL", "aVF")
OF_I_AND_II: Final = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}
"""Each limb lead as a sum of I and II."""
MAINS_HZ: Final = (50.0, 60.0)
FLANKS_HZ: Final = ((-6.0, -3.0), (3.0, 6.0))
REACH: Final = (0.005, 0.995)
STEP_PART: Final = 1e-4
"""A sample within this part of a lead's range stands at its end."""
MOST_VALUES: Final = 30_000_000


def checked(
    millivolts: Mapping[str, Float32[Array, " sample"]], sfreq_hz: float, flags: tuple[Flag, ...] = ()
) -> EcgRecording:
    """Check and complete a recording.

    Args:
        millivolts: By lead, all of one length; NaN where nothing was recorded.
        sfreq_hz: Sampling rate.
        flags: What the reader of the format saw.

    Raises:
        EvidenceError: `ecg.no_leads`, `ecg.rate`, `ecg.too_short`, `ecg.too_long`, `ecg.scale`, `ecg.too_few_leads`.
    """
    if not millivolts:
        raise no_leads()
    check_length(len(next(iter(millivolts.values()))), sfreq_hz, len(millivolts))
    rows = dict(millivolts)
    _check_scale(rows)
    seen = list(flags)
    bad = dict(_unusable(rows, sfreq_hz, seen))
    rows |= _filled(rows, bad, seen)
    seen += _contradictions(rows, bad)
    seen += _completed(rows, bad)
    leads = tuple(lead for lead in lead_table().leads if lead in rows)
    usable = [lead for lead in leads if lead not in bad]
    if len(usable) < lead_table().floor:
        what = f"{len(usable)} of the 12 leads carry a signal; {lead_table().floor} are needed"
        raise EvidenceError("ecg.too_few_leads", what, _told(bad), "Check the electrodes, or leave the ECG out")
    if missing := [lead for lead in lead_table().leads if lead not in leads]:
        seen.append(Flag(code="ecg.leads_missing", why=f"Not recorded: {', '.join(missing)}"))
    values = np.stack([rows[lead] for lead in leads]).astype(np.float32)
    seen += _mains(values[[lead not in bad for lead in leads]], sfreq_hz)
    return EcgRecording(values, leads, sfreq_hz, tuple(seen), tuple(lead for lead in leads if lead in bad))


def no_leads() -> EvidenceError:
    """What is said of a file in which no channel is a lead."""
    mend = "Check the labels, or add them to schemas/ecg_leads.toml"
    return EvidenceError("ecg.no_leads", "No channel is one of the 12 leads", "", mend)


def check_length(n: int, sfreq_hz: float, leads: int) -> None:
    """Refuse a rate or a length that no resting ECG has, before anything large is made.

    Raises:
        EvidenceError: `ecg.rate`, `ecg.too_short`, `ecg.too_long`.
    """
    table = lead_table()
    low, high = table.rates_hz
    if not low <= sfreq_hz <= high:
        raise EvidenceError("ecg.rate", f"A sampling rate of {sfreq_hz:g} Hz is none of an ECG", "", MEND)
    if n < table.least_s * sfreq_hz:
        what = f"The recording lasts {n / sfreq_hz:.1f} s; {table.least_s:g} s are needed"
        raise EvidenceError("ecg.too_short", what, "", "Leave it out")
    if n > table.most_s * sfreq_hz or n * leads > MOST_VALUES:
        what = f"The recording lasts {n / sfreq_hz / 60:.0f} min: that is a long-term ECG"
        raise EvidenceError("ecg.too_long", what, "", "Give a resting ECG, or cut ten seconds out of it")


def _unusable(rows: Mapping[str, Array], sfreq_hz: float, seen: list[Flag]) -> Iterator[tuple[str, str]]:
    """Leads without a usable signal, each with the reason."""
    table, second = lead_table(), round(sfreq_hz)
    kinds: dict[str, list[str]] = {"ecg.gaps": [], "ecg.flat_lead": [], "ecg.clipped": []}
    for lead, row in rows.items():
        there = np.isfinite(row)
        if 1 - there.mean() > table.gap_share:
            kinds["ecg.gaps"].append(lead)
            continue
        cells = np.where(there, row, np.nanmean(row))[: len(row) // second * second].reshape(-1, second)
        if (np.ptp(cells, axis=1) < table.flat_mv).mean() > table.bad_share:
            kinds["ecg.flat_lead"].append(lead)
        elif _at_ends(row[there]) > table.rail_share:
            kinds["ecg.clipped"].append(lead)
    for code, leads in kinds.items():
        if leads:
            seen.append(Flag(code=code, why=f"{WORDS[code]} in {', '.join(leads)}: left out"))
        yield from ((lead, code) for lead in leads)


WORDS: Final = {"ecg.gaps": "Missing samples", "ecg.flat_lead": "No signal", "ecg.clipped": "Amplifier at its limit"}


def _at_ends(row: Array) -> float:
    """The share of samples at one end of a lead's range, the larger of the two, without the one peak that must be."""
    step = STEP_PART * float(np.ptp(row))
    return max(float((row >= row.max() - step).mean()), float((row <= row.min() + step).mean()))


def _filled(rows: Mapping[str, Array], bad: Mapping[str, str], seen: list[Flag]) -> dict[str, Array]:
    """Leads with a few missing samples, bridged by straight lines."""
    holes = [lead for lead, row in rows.items() if lead not in bad and not np.isfinite(row).all()]
    if holes:
        seen.append(Flag(code="ecg.bridged", why=f"A few missing samples were bridged in {', '.join(holes)}"))
    return {lead: _bridged(rows[lead]) for lead in holes}


def _bridged(row: Array) -> Array:
    there = np.isfinite(row)
    at = np.arange(len(row))
    return np.asarray(np.interp(at, at[there], row[there]), dtype=np.float32)


def _check_scale(rows: Mapping[str, Array]) -> None:
    """Refuse what is in another unit; a lead without any signal says nothing of the unit."""
    held = [row[np.isfinite(row)] for row in rows.values() if np.isfinite(row).any()]
    reach = [one for row in held if (one := float(np.diff(np.quantile(row, REACH))[0])) > 0]
    low, high = lead_table().scale_mv
    if reach and not low <= (middle := float(np.median(reach))) <= high:
        what = f"The leads reach over {middle:.3g} mV, which no ECG does"
        raise EvidenceError("ecg.scale", what, "", "Check the unit, and whether electrodes were attached")


def _contradictions(rows: Mapping[str, Array], bad: Mapping[str, str]) -> Iterator[Flag]:
    """Limb leads that are not what I and II make them: a label, a sign or a unit of one of them is wrong."""
    there = [lead for lead in LIMB if lead in rows and lead not in bad]
    if "I" not in there or "II" not in there:
        return
    one, two = (_level(rows[lead]) for lead in ("I", "II"))
    size = np.sqrt((one**2 + two**2).mean() / 2)
    for lead in there[2:]:
        a, b = OF_I_AND_II[lead]
        off = np.sqrt(np.mean((_level(rows[lead]) - a * one - b * two) ** 2)) / max(float(size), 1e-9)
        if off > lead_table().einthoven:
            why = (
                f"{lead} is off what I and II make it, by {off:.0%} of their size: leads may be swapped or mislabelled"
            )
            yield Flag(code="ecg.einthoven", why=why)


def _level(row: Array) -> Array:
    return np.asarray(row - row.mean(), dtype=np.float64)


def _completed(rows: dict[str, Array], bad: dict[str, str]) -> Iterator[Flag]:
    """Limb leads that two others determine, put in; a bad one is replaced too."""
    usable = [lead for lead in LIMB if lead in rows and lead not in bad]
    wanted = [lead for lead in LIMB if lead not in usable]
    if len(usable) < 2 or not wanted:
        return
    first, second = usable[:2]
    basis = np.array([OF_I_AND_II[first], OF_I_AND_II[second]])
    given = np.stack([rows[first], rows[second]]).astype(np.float64)
    pair = np.linalg.solve(basis, given)
    for lead in wanted:
        rows[lead] = (np.array(OF_I_AND_II[lead]) @ pair).astype(np.float32)
        bad.pop(lead, None)
    yield Flag(code="ecg.leads_derived", why=f"{', '.join(wanted)} computed from {first} and {second}")


def _mains(values: Array, sfreq_hz: float) -> Iterator[Flag]:
    """A flag for each mains frequency that stands out of its surroundings."""
    table, n = lead_table(), values.shape[1]
    window = np.hanning(n)
    spectrum = np.abs(np.fft.rfft((values - values.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2
    power = spectrum / (window.sum() ** 2 / 2)
    freqs = np.fft.rfftfreq(n, 1 / sfreq_hz)
    for mains_hz in MAINS_HZ:
        beside = np.any([(freqs >= mains_hz + a) & (freqs <= mains_hz + b) for a, b in FLANKS_HZ], axis=0)
        line = power[:, np.abs(freqs - mains_hz) <= 1]
        if mains_hz + 6 > freqs[-1] or not line.size:
            continue
        loud = (line.max(axis=1) > table.mains_ratio * np.median(power[:, beside], axis=1)) & (
            line.max(axis=1) > table.mains_mv**2
        )
        if loud.any():
            yield Flag(code="ecg.mains", why=f"{mains_hz:g} Hz from the mains in {int(loud.sum())} leads")


def _told(bad: Mapping[str, str]) -> str:
    return "; ".join(f"{lead}: {WORDS[code].lower()}" for lead, code in bad.items())
