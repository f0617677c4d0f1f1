"""X-rays shown wrongly, and what is no chest X-ray: simulated, and real ones of two public sets in five folds.

In:  nothing; the folder of the data sets. Out: rows of figures. Used by `benchmarks.outside`.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array

from benchmarks import foreign
from benchmarks.outside_guarded import (
    HELD,
    SEED,
    TRAIN,
    Guarded,
    Row,
    apart,
    count,
    guarded,
    interval,
    planned,
    seconds,
    simulated,
)
from clinic_mm.errors import EvidenceError
from clinic_mm.prep.xray import MISTAKES
from clinic_mm.signals import CtVolume, XrayImage
from clinic_mm.simulate import xray as sim_xray
from clinic_mm.sources.xray.image import load as load_xray
from clinic_mm.sources.xray.looks import check_looks
from clinic_mm.training.outside import patient_folds

PICTURES: Final = 200
PICTURE_KINDS: Final[dict[str, Callable[[np.random.Generator], Array]]] = {
    "a photograph": foreign.photo,
    "a scanned page": foreign.page,
    "a screenshot": foreign.screen,
}


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


def looked_at(grey: Array) -> XrayImage | None:
    """A picture as the reader would take it, None where it refuses."""
    try:
        return XrayImage(grey, flags=check_looks(grey))
    except EvidenceError:
        return None


def wrong_way(image: XrayImage, which: int) -> XrayImage:
    """The same image shown wrongly: a mistake of the table, made with the grey values."""
    return replace(image, grey=np.ascontiguousarray(MISTAKES[which].make(image.grey[None, None])[0, 0]))


def _projected(volume: CtVolume) -> Array:
    """A radiograph of a phantom: what attenuates, summed from front to back, seen upright."""
    dense = np.clip((volume.hu + 1000) / 1000, 0, None).sum(axis=1)
    grey = 1 - np.exp(-dense / 25)
    return np.ascontiguousarray(grey.T[::-1] / grey.max()).astype(np.float32)


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
