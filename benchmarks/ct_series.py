"""A DICOM series of 41 x 512² as a checked 96³ tensor: our path beside MONAI's, pydicom's decoding alone and highdicom.

    python -m benchmarks.ct_series --page docs/performance.md

A real chest CT where it is (CLINIC_MM_DATA names the folder of real files, else ../shared/data), else a SIMULATED one
in temporary files. One process; the ways take turns; medians of the repeats. Ours includes every check of
`sources.ct.volume.load`. The tensors are compared: see `agreement`.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import highdicom
import numpy as np
import pydicom
from monai.transforms import (  # type: ignore[attr-defined]
    Compose,
    EnsureChannelFirst,
    LoadImage,
    Orientation,
    Resize,
    ScaleIntensityRange,
    Spacing,
)
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

from benchmarks.section import machine, write_section
from clinic_mm.prep.ct import CtPrep, plain_summary
from clinic_mm.sources.ct.volume import load
from clinic_mm.sources.dicom.find import find_dicom
from clinic_mm.task import ModalityTask

DATA = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SERIES = "ct/nsclc_LUNG1-001/image"
PIXDIM_MM = (1.5, 1.5, 2.0)
"""As MONAI's own tutorials for CT set it."""
NEEDED, STRETCH = 2.5, 4.0
OURS, MONAI, FLOOR, HIGHDICOM = "ours, checked", "MONAI", "pydicom, decoding alone", "highdicom, volume alone"
SLACK = 0.02
"""Of the window, 32 HU: about the noise of a voxel."""
RAS = Orientation(axcodes="RAS", labels=None)
Ways = dict[str, Callable[[], Any]]


def main() -> None:
    """Measure, compare, print, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=15)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    warnings.simplefilter("ignore")  # of the other libraries, about values in real headers
    with tempfile.TemporaryDirectory() as folder:
        real = sorted((DATA / SERIES).glob("*.dcm"))
        files = real or simulated(Path(folder))
        prep = CtPrep.plan("base", ModalityTask(kind="ct"))
        ways = the_ways(files, prep)
        inside, mean = agreement(np.asarray(ways[OURS](), float)[0], np.asarray(ways[MONAI](), float)[0])
        ms = measure(ways, given.repeats)
        whole = load(files)
        theirs = Compose([LoadImage(reader="PydicomReader", image_only=True), EnsureChannelFirst(), RAS])
        voxel_hu = float(np.abs(np.asarray(theirs(str(files[0].parent)))[0] - whole.hu).max())
        hu = prep.grid(whole)
        more = measure(
            {
                "find": lambda: list(find_dicom(files[0].parent, "r", files, ZoneInfo("UTC"))),
                "summary": lambda: plain_summary(hu),
            },
            given.repeats,
        )
    assert voxel_hu < 0.01, f"the volumes differ by {voxel_hu:.2f} HU before they are resampled"
    assert inside >= 0.99, f"only {inside:.2%} of the voxels agree"
    assert mean <= 0.02, f"the tensors differ by {mean:.3f} on average"
    text = _text(
        "a real chest CT (Siemens)" if real else "a SIMULATED chest", ms, more, (voxel_hu, inside, mean), given.repeats
    )
    if given.page:
        write_section(given.page, "A CT series as a tensor", text)
    print(text)


def the_ways(files: Sequence[Path], prep: CtPrep) -> Ways:
    """Each way from files to a result; the first two end in a tensor [1, 96, 96, 96]."""
    low, high = prep.recipe["window_hu"]
    theirs = Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            EnsureChannelFirst(),
            RAS,
            Spacing(pixdim=PIXDIM_MM),
            ScaleIntensityRange(low, high, 0.0, 1.0, clip=True),
            Resize(prep.shape[1:]),
        ]
    )
    return {
        OURS: lambda: prep.tensor(prep.grid(load(files))),
        MONAI: lambda: theirs(str(files[0].parent)),
        FLOOR: lambda: [pydicom.dcmread(file).pixel_array for file in files],
        HIGHDICOM: lambda: highdicom.get_volume_from_series([pydicom.dcmread(file) for file in files]),
    }


def measure(ways: Ways, repeats: int) -> dict[str, float]:
    """Median milliseconds of each way; they take turns, so that a busy moment of the machine hits all alike."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for way in ways.values():  # warm: files in memory, libraries loaded
        way()
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append(1e3 * (time.perf_counter() - started))
    return {name: median(some) for name, some in times.items()}


def agreement(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Whether two interpolations show the same picture.

    Returns:
        The share of voxels of ours that lie between the lowest and the highest of their 27 neighbours in theirs (± 0.02
        of the window): two ways to interpolate may differ by what the picture changes to the next voxel, and by no
        more. And the mean absolute difference, in shares of the window.
    """
    low, high = ndimage.minimum_filter(theirs, 3), ndimage.maximum_filter(theirs, 3)
    inside = (ours >= low - SLACK) & (ours <= high + SLACK)
    return float(inside.mean()), float(np.abs(ours - theirs).mean())


def simulated(folder: Path) -> list[Path]:
    """41 slices of 512²: an ellipse with two lungs in noisy air."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    plain = np.where((x / 0.8) ** 2 + (y / 0.55) ** 2 < 1, 40.0, -1000.0)
    plain[((np.abs(x) - 0.38) / 0.25) ** 2 + (y / 0.38) ** 2 < 1] = -850.0
    uid, paths = generate_uid(), []
    for k in range(41):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, generate_uid(), "CT"
        one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "SIMULATED", uid, uid, uid
        one.InstanceNumber, one.ImagePositionPatient = k + 1, [-250.0, -250.0, 3.0 * k]
        one.ImageOrientationPatient, one.PixelSpacing, one.SliceThickness = [1, 0, 0, 0, 1, 0], [0.9765625] * 2, 3.0
        one.Rows = one.Columns = 512
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        stored = np.clip(plain + rng.normal(0, 20, plain.shape) + 1024, 0, 4095).astype("<u2")
        one.PixelData = stored.tobytes()
        one["PixelData"].VR = "OW"
        paths.append(folder / f"{k:03d}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


def _text(
    what: str, ms: dict[str, float], more: dict[str, float], agreed: tuple[float, float, float], repeats: int
) -> str:
    voxel_hu, inside, mean = agreed
    rows = [f"| {name} | {time_ms:.0f} | {ms[MONAI] / time_ms:.1f} |" for name, time_ms in ms.items()]
    pixdim = " x ".join(f"{mm:g}" for mm in PIXDIM_MM)
    return "\n".join(
        [
            f"41 slices of 512², {what}; medians of {repeats} repeats on {machine()}; the files were in",
            "memory already. Ours: `sources.ct.volume.load` with all its checks, then windowed, resized to 96³. MONAI:",
            f"LoadImage with PydicomReader, Orientation, Spacing ({pixdim} mm), ScaleIntensityRange, Resize to 96³; it",
            "checks neither gaps nor tilt.",
            "",
            "| way | ms | × faster than MONAI |",
            "|---|---|---|",
            *rows,
            "",
            f"Asked for: ≥ {NEEDED:g} × faster than MONAI, {STRETCH:g} × as a stretch.",
            "",
            f"Before it is resampled, the volume equals MONAI's after Orientation to {voxel_hu:.2g} HU. The tensors",
            f"show the same picture: {inside:.2%} of our voxels lie between the lowest and the highest of the 27",
            f"nearest of MONAI's (± {SLACK:g} of the window); the mean difference is {mean:.4f} of the window. They",
            "are interpolated differently: ours averages all voxels that a larger one covers.",
            "",
            f"Once per series, at ingest: finding it and hashing its bytes, {more['find']:.0f} ms.",
            f"Once per case, beside the tensor: plain summaries for the heads, {more['summary']:.0f} ms.",
            "",
            "Command: `python -m benchmarks.ct_series --page docs/performance.md`",
        ]
    )


if __name__ == "__main__":
    main()
