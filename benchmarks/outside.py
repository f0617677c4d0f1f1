"""How many foreign inputs are caught, and how many good ones are taken for foreign: simulated and real, held out.

    python -m benchmarks.outside [--data DIR] [--page docs/trust.md]

Simulated signals are rendered by `clinic_mm.simulate` and prepared as any other; real ones are read in place from DIR.
An input counts as caught where reading or preparing it refuses it, or its guard rejects it; of an EEG, where the broken
channel is named and left out.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array
from scipy.stats import beta

from benchmarks import foreign
from benchmarks.outside_records import simulated_records, stays
from benchmarks.section import write_section
from clinic_mm.errors import EvidenceError
from clinic_mm.predict.model import heard_of
from clinic_mm.predict.outside import Outside, attend
from clinic_mm.prep.base import Prep, plan_prep
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, stack
from clinic_mm.prep.xray import MISTAKES
from clinic_mm.signals import CtVolume, EegRecording, Signal, XrayImage
from clinic_mm.simulate import ct as sim_ct
from clinic_mm.simulate import eeg as sim_eeg
from clinic_mm.simulate import xray as sim_xray
from clinic_mm.sources.ct.volume import load as load_ct
from clinic_mm.sources.eeg.quality import judge
from clinic_mm.sources.eeg.recording import load as load_eeg
from clinic_mm.sources.xray.image import load as load_xray
from clinic_mm.sources.xray.looks import check_looks
from clinic_mm.task import ModalityTask, OutsideTask
from clinic_mm.training.outside import fit_guard, patient_folds
from clinic_mm.training.shown import told_apart
from clinic_mm.types import CaseRecord, Rejected

DATA: Final = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).parents[2] / "shared" / "data"))
TITLE: Final = "Inputs from outside of training"
ALARMS: Final = OutsideTask().false_alarms
TRAIN, HELD, SEED = 400, 200, 41
PICTURES: Final = 200
GOAL, MOST = 0.95, 0.05
Row = tuple[str, str, int, int]
"""What it is, on what, how many were caught, of how many."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A recipe of one modality with its guard."""

    prep: Prep[Signal]
    outside: Outside

    def caught(self, signals: Iterable[Signal | None]) -> Bool[Array, " n"]:
        """Which signals are rejected; None stands for one that reading refused."""
        prepared = prepare(self.prep, list(signals))
        heard = heard_of(prepared, np.full((len(prepared), 1, 2), 0.5), {})
        after = attend(self.outside, Recipe({self.prep.kind: self.prep}), prepared, heard).prepared
        return ~after.present[:, 0]


def planned(kind: str) -> Prep[Signal]:
    """The prep of a kind, of the least size."""
    return plan_prep(kind, "tiny", ModalityTask(kind=kind))


def prepare(prep: Prep[Signal], signals: Sequence[Signal | None], patients: Sequence[str] = ()) -> PreparedCases:
    """Signals as prepared cases of one modality; what cannot be prepared is rejected."""
    outcomes = []
    for signal in signals:
        try:
            made = None if signal is None else prep(signal, None)
        except EvidenceError:
            made = None
        no = None if made else Rejected(modality=prep.kind, code="refused", why="refused")
        outcomes.append({prep.kind: Outcome(made, np.nan, no)})
    keys = patients or [f"p{k}" for k in range(len(signals))]
    cases = [CaseRecord(case_key=f"c{k}", patient_key=p, decision_time=None) for k, p in enumerate(keys)]
    return stack(cases, outcomes, Recipe({prep.kind: prep}))


def guarded(prep: Prep[Signal], signals: Sequence[Signal], patients: Sequence[str] = ()) -> Guarded:
    """A guard of some training signals."""
    guard = fit_guard(prep, prepare(prep, signals, patients), prep.kind, ALARMS, SEED)
    assert not isinstance(guard, str), guard
    return Guarded(prep, Outside({prep.kind: guard}))


def looked_at(grey: Array) -> XrayImage | None:
    """A picture as the reader would take it, None where it refuses."""
    try:
        return XrayImage(grey, flags=check_looks(grey))
    except EvidenceError:
        return None


def wrong_way(image: XrayImage, which: int) -> XrayImage:
    """The same image shown wrongly: a mistake of the table, made with the grey values."""
    return replace(image, grey=np.ascontiguousarray(MISTAKES[which].make(image.grey[None, None])[0, 0]))


PICTURE_KINDS: Final[dict[str, Callable[[np.random.Generator], Array]]] = {
    "a photograph": foreign.photo,
    "a scanned page": foreign.page,
    "a screenshot": foreign.screen,
}


def xray_rows(where: str, train: Guarded, held: Sequence[XrayImage], pictures: int, seed: int) -> list[Row]:
    """Good pictures, every way of showing them wrongly, and what is no radiograph."""
    rows = [("good X-ray: false alarm", where, *count(train.caught(held)))]
    for k, mistake in enumerate(MISTAKES):
        name = f"X-ray {mistake.words.partition(',')[0]}" + (" (only flagged)" if mistake.only_flag else "")
        if not mistake.only_flag:
            rows.append((name, where, *count(train.caught(wrong_way(one, k) for one in held))))
    for name, make in PICTURE_KINDS.items():
        made = train.caught(looked_at(grey) for grey in foreign.many(make, pictures, seed))
        rows.append((f"{name} as an X-ray", where, *count(made)))
    return rows


def count(found: Bool[Array, " n"]) -> tuple[int, int]:
    """How many, of how many."""
    return int(found.sum()), len(found)


def simulated_xray() -> tuple[list[Row], float, float]:
    """Rows, the AUROC of mirrored radiographs, and seconds per picture of guarding."""
    every = [simulated(sim_xray.render, k) for k in range(TRAIN + HELD)]
    images = [XrayImage(np.clip(one / 4095, 0, 1).astype(np.float32)) for one in every]
    prep = planned("xray")
    train = guarded(prep, images[:TRAIN])
    rows = xray_rows("simulated", train, images[TRAIN:], PICTURES, SEED)
    phantoms = [looked_at(_projected(one)) for one in foreign.many(foreign.head, HELD, SEED)]
    rows.append(("a head (projected phantom) as an X-ray", "simulated", *count(train.caught(phantoms))))
    return rows, apart(prep, images[:TRAIN])["xray.mirrored"], seconds(train, images[TRAIN:])


def apart(prep: Prep[Signal], signals: Sequence[Signal], patients: Sequence[str] = ()) -> dict[str, float]:
    """Cross-fitted by patient: the AUROC of signals against their wrong copies."""
    prepared = prepare(prep, signals, patients)
    fold = patient_folds(prepared.patients[prepared.present[:, 0]], SEED)
    return told_apart(prep, prepared.x[prep.kind], fold)


def _projected(volume: CtVolume) -> Array:
    """A radiograph of a phantom: what attenuates, summed from front to back, seen upright."""
    dense = np.clip((volume.hu + 1000) / 1000, 0, None).sum(axis=1)
    grey = 1 - np.exp(-dense / 25)
    return np.ascontiguousarray(grey.T[::-1] / grey.max()).astype(np.float32)


def simulated(render: Callable[..., tuple[Array, Any]], number: int) -> Array:
    """One rendered signal; both classes alike."""
    rng = np.random.default_rng([SEED, number])
    return render(float(rng.normal()), rng)[0]


def seconds(train: Guarded, signals: Sequence[Signal]) -> float:
    """Of looking at one prepared signal, in a batch of 64: the cost of the guard beside preparing and encoding."""
    prepared = prepare(train.prep, signals[:64])
    heard = heard_of(prepared, np.full((len(prepared), 1, 2), 0.5), {})
    took = []
    for _ in range(5):
        start = time.perf_counter()
        attend(train.outside, Recipe({train.prep.kind: train.prep}), prepared, heard)
        took.append(time.perf_counter() - start)
    return float(np.median(took)) / len(prepared)


def simulated_ct() -> list[Row]:
    """Chests against heads and bellies, and the reverse; then real heads and chests against simulated chests."""
    chests = [_volume(simulated(sim_ct.render, k)) for k in range(TRAIN // 2 + HELD // 2)]
    heads = list(foreign.many(foreign.head, TRAIN // 2 + HELD // 2, SEED))
    bellies = list(foreign.many(foreign.belly, HELD // 2, SEED))
    prep = planned("ct")
    half = TRAIN // 2
    chest, head = guarded(prep, chests[:half]), guarded(prep, heads[:half])
    return [
        ("good chest CT: false alarm", "simulated", *count(chest.caught(chests[half:]))),
        ("good head CT: false alarm", "phantoms", *count(head.caught(heads[half:]))),
        ("a head CT where chests were learnt", "simulated", *count(chest.caught(heads[half:]))),
        ("an abdomen CT where chests were learnt", "simulated", *count(chest.caught(bellies))),
        ("a chest CT where heads were learnt", "phantoms", *count(head.caught(chests[half:]))),
    ]


def _volume(hu: Array) -> CtVolume:
    """Slices from feet to head, rows to posterior, columns to left: to Right, Anterior, Superior."""
    z, y, x = sim_ct.SPACING_MM
    return CtVolume(np.ascontiguousarray(hu.transpose(2, 1, 0)[::-1, ::-1]).astype(np.float32), (x, y, z))


def broken(recording: EegRecording, channel: int, how: str, rng: np.random.Generator) -> tuple[EegRecording, str]:
    """One channel dead or saturated, judged anew as the reader does."""
    volts = np.array(recording.volts[:, :], np.float32)
    rail = max(1e-3, 1.1 * float(np.nanmax(np.abs(volts))))  # DC-coupled amplifiers lie far from 0
    if how == "flat":
        volts[channel] = 0.0
    elif how == "disconnected":
        volts[channel] = rng.normal(0, 5e-8, volts.shape[1])
    else:
        volts[channel] = rail
        loose = rng.random(volts.shape[1]) < 0.3
        volts[channel, loose] = rng.normal(0, 2e-5, int(loose.sum()))
    rails = np.tile(np.array([-rail, rail], np.float32), (len(volts), 1))
    try:
        bad = judge(volts, recording.channels, recording.sfreq_hz, recording.segments, rails).bad
    except EvidenceError:
        bad = recording.channels  # no channel is left: the recording is refused as a whole
    return replace(recording, volts=volts, bad=bad), recording.channels[channel]


def eeg_rows(where: str, recordings: Sequence[EegRecording], channels: int) -> list[Row]:
    """Dead and saturated channels that are named and left out; good ones taken for bad."""
    rng = np.random.default_rng(SEED)
    clean = [name for one in recordings for name in one.channels if name not in one.bad]
    total = sum(len(one.channels) for one in recordings)
    rows: list[Row] = [("good EEG channel: left out", where, total - len(clean), total)]
    for how in ("flat", "disconnected", "saturated"):
        hits = []
        for one in recordings:
            good = [k for k, name in enumerate(one.channels) if name not in one.bad]
            for channel in rng.permutation(good)[:channels]:
                made, name = broken(one, int(channel), how, rng)
                hits.append(name in made.bad)
        rows.append((f"EEG channel {how}", where, *count(np.array(hits))))
    return rows


def simulated_eeg() -> tuple[list[Row], float]:
    """Channels of simulated EEG; the AUROC of swapped sides; whole recordings taken for foreign."""
    volts = (simulated(sim_eeg.render, k).astype(np.float32) * 1e-6 for k in range(300))
    made = [EegRecording(one, sim_eeg.CHANNELS, float(sim_eeg.SFREQ_HZ)) for one in volts]
    prep = planned("eeg")
    train = guarded(prep, made[:200])
    rows = [("good EEG: false alarm", "simulated", *count(train.caught(made[200:])))]
    return [*rows, *eeg_rows("simulated", made[200:250], 4)], apart(prep, made[:200])["eeg.sides_swapped"]


def real_xray(data: Path) -> tuple[list[Row], float, list[str]]:
    """Chest X-rays of two public sets, five folds by patient; and what else the folder holds that is no chest."""
    files = chest_files(data)
    patients, images = [who for who, _ in files], [load_xray([path]) for _, path in files]
    prep = planned("xray")
    fold = patient_folds(np.array(patients), SEED)
    rows: dict[tuple[str, str], np.ndarray] = {}
    others = other_parts(data)
    notes = []
    for k in range(fold.max() + 1):
        fit, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        train = guarded(prep, [images[i] for i in fit], [patients[i] for i in fit])
        found = xray_rows("real", train, [images[i] for i in held], PICTURES // 5, SEED + k)
        found.append(("another body part, or a CT slice, as an X-ray", "real", *count(train.caught(others))))
        for name, where, caught, n in found:
            rows[name, where] = rows.get((name, where), 0) + np.array([caught, n])
    cohen = [i for i, who in enumerate(patients) if who.startswith("c")]
    other = [i for i, who in enumerate(patients) if who.startswith("h")]
    site = guarded(prep, [images[i] for i in cohen], [patients[i] for i in cohen])
    alarms = site.caught(images[i] for i in other)
    notes.append(
        f"Learnt on one set (Cohen) alone, the guard takes {alarms.sum()} of the {len(alarms)} pictures of the other "
        f"(Hannover) for foreign: {interval(int(alarms.sum()), len(alarms))}. Another site is outside of training."
    )
    mirrored = apart(prep, images, patients)["xray.mirrored"]
    return [(name, where, int(c), int(n)) for (name, where), (c, n) in rows.items()], mirrored, notes


def chest_files(data: Path) -> list[tuple[str, Path]]:
    """Patient and picture of the two sets; a number of a set is a patient of that set."""
    cohen, hannover = data / "multimodal/chest_cohen", data / "multimodal/chest_hannover"
    with (cohen / "metadata.csv").open(encoding="utf-8") as file:
        found = [(f"c{row['patientid']}", cohen / "images" / row["image"]) for row in csv.DictReader(file)]
    by_name = {path.stem: path for path in (hannover / "images").iterdir()}
    with (hannover / "data.csv").open(encoding="utf-8") as file:
        told = [(f"h{row['patient_id']}", row["image_id"]) for row in csv.DictReader(file)]
    return found + [(who, by_name[image]) for who, image in told if image in by_name]


def other_parts(data: Path) -> list[XrayImage | None]:
    """Radiographs of other body parts, and slices of CT as if they were radiographs; pixels alone, without headers."""
    from pydicom import dcmread

    paths = [data / "xray_dicom/RG3_J2KR.dcm"]
    paths += sorted((data / "ct/head_ge_hispeed").rglob("*.dcm"))[::2] + sorted((data / "ct/covid_sbu").rglob("*.dcm"))
    found: list[XrayImage | None] = []
    for path in paths:
        dataset = dcmread(path, force=True)
        stored = dataset.pixel_array.astype(np.float32)
        low, high = np.percentile(stored, (0.5, 99.5))
        grey = np.clip((stored - low) / max(float(high - low), 1e-9), 0, 1)
        found.append(
            looked_at((1 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey).astype(np.float32))
        )
    return found


def real_ct(data: Path) -> list[str]:
    """What simulated chests make of real series: too few real chests stand there to learn from."""
    chests = [_volume(simulated(sim_ct.render, k)) for k in range(TRAIN // 2)]
    train = guarded(planned("ct"), chests)
    folders = {"head": "head_ge_hispeed", "chest": "nsclc_LUNG1-001/image", "abdomen": "crlm_CRLM-CT-1004"}
    told = []
    for name, folder in folders.items():
        try:
            volume: CtVolume | None = load_ct(sorted((data / "ct" / folder).glob("*.dcm")))
        except EvidenceError as error:
            told.append(f"{name}: refused when read (`{error.code}`)")
            continue
        told.append(f"{name}: {'rejected' if train.caught([volume])[0] else '**answered**'}")
    return [f"Real series against simulated chests (a real chest is foreign there, too): {'; '.join(told)}."]


def real_eeg(data: Path) -> tuple[list[Row], float]:
    """Channels of the recordings in many formats and of 14 people at rest between trials."""
    formats = [path for path in (data / "eeg/formats").rglob("*") if path.suffix in {".edf", ".bdf", ".vhdr", ".set"}]
    recordings = [one for path in sorted(formats) if (one := _opened(path)) is not None]
    trials = np.load(data / "eeg/alcoholism_uci/trials.npz", allow_pickle=False)
    known = {name.upper(): name for name in sim_eeg.CHANNELS}
    names = tuple(known.get(str(one), str(one)) for one in trials["ch"])
    people = []
    for who in np.unique(trials["subject"]):
        volts = np.concatenate(list(trials["x"][trials["subject"] == who]), axis=1) * np.float32(1e-6)
        people.append(EegRecording(volts, names, float(trials["sfreq"])))
    rows = [*eeg_rows("real, many formats", recordings, 6), *eeg_rows("real, 14 people", people, 20)]
    return rows, apart(planned("eeg"), people)["eeg.sides_swapped"]


def _opened(path: Path) -> EegRecording | None:
    beside = sorted(one for one in path.parent.iterdir() if one.stem == path.stem)
    try:
        opened = load_eeg(beside)
    except EvidenceError:
        return None
    return replace(opened, volts=np.array(opened.volts[:, : int(30 * opened.sfreq_hz)], np.float32), gaps=())


def interval(caught: int, n: int) -> str:
    """Share with the Clopper-Pearson interval, 95 % (Clopper & Pearson 1934, doi:10.1093/biomet/26.4.404)."""
    low = beta.ppf(0.025, caught, n - caught + 1) if caught else 0.0
    high = beta.ppf(0.975, caught + 1, n - caught) if caught < n else 1.0
    return f"{caught / n:.1%} ({low:.1%} to {high:.1%})"


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown."""
    lines = ["| input | on | n | caught (95 %) | reached |", "|---|---|---|---|---|"]
    for name, where, caught, n in rows:
        alarm = name.startswith("good")
        reached = caught <= MOST * n if alarm else caught >= GOAL * n
        lines.append(f"| {name} | {where} | {n} | {interval(caught, n)} | {'yes' if reached else '**no**'} |")
    return lines


def main() -> None:
    """Measure all, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/icu_mortality"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    pictures, mirrored, guard_s = simulated_xray()
    eeg, swapped = simulated_eeg()
    rows = [*pictures, *simulated_ct(), *eeg, *simulated_records(600, ALARMS, SEED)]
    body = [*_opening(), *table(rows), ""]
    sides = [("mirrored X-ray", "simulated", mirrored), ("swapped EEG sides", "simulated", swapped)]
    if given.data.is_dir():
        real, real_mirrored, notes = real_xray(given.data)
        channels, real_swapped = real_eeg(given.data)
        real_rows = [*real, *channels, *stays(given.data, given.work, ALARMS, SEED)]
        sides += [("mirrored X-ray", "real", real_mirrored), ("swapped EEG sides", "14 people", real_swapped)]
        body += [*table(real_rows), "", *notes, "", *real_ct(given.data), ""]
    body += ["| only flagged | on | AUROC, cross-fitted |", "|---|---|---|"]
    body += [f"| {name} | {where} | {value:.3f} |" for name, where, value in sides]
    body += ["", f"Guarding a prepared X-ray takes {1e3 * guard_s:.2f} ms (one core, batch of 64)."]
    print("\n".join(body))
    if given.page:
        write_section(given.page, TITLE, "\n".join(body))


def _opening() -> list[str]:
    return [
        "Made by `python -m benchmarks.outside --page docs/trust.md`.",
        "",
        f"A guard learns from training cases alone, without labels; its thresholds let at most {ALARMS:.1%} of a "
        "modality's good inputs pass for foreign, as cross-fitting by patient shows. Asked of it: at least "
        f"{GOAL:.0%} caught at no more than {MOST:.0%} false alarms. Simulated: up to {TRAIN} to learn from, others "
        "held out, all SIMULATED. Real: chest X-rays of 166 patients in five folds by patient, PhysioNet 2012 in "
        "halves. Photographs are crops of three pictures, pages and screens are drawn. The share of false alarms and "
        "what the guard looks at in an X-ray were chosen with these chest X-rays at hand (other folds): their "
        "rows flatter a little; the simulated ones were not looked at. Intervals are Clopper-Pearson, by input.",
        "",
    ]


if __name__ == "__main__":
    main()
