"""The loop that one writes first: one case after the other, read, prepared and asked by the libraries of the field.

MONAI and MNE read; filters, holes and quantiles of the preparation are those of SciPy and NumPy, its other steps ours,
without which answers could not be the same; eager PyTorch answers. Nothing is checked, kept or reported.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from unittest.mock import patch

import numpy as np
import torch
from monai.transforms import LoadImage, Orientation
from numpy import ndarray as Array
from scipy.ndimage import binary_fill_holes, gaussian_filter
from threadpoolctl import threadpool_limits

from clinic_mm.cohort.load import load_evidence, locate
from clinic_mm.cohort.manifest import Cohort
from clinic_mm.predict.model import Model, listen_inside, subset_probabilities
from clinic_mm.prep import ct, texture, xray
from clinic_mm.prep.batch import Outcome, stack
from clinic_mm.signals import CtVolume, EegRecording, Signal, XrayImage
from clinic_mm.types import CaseRecord, Evidence


def read_plainly(evidence: Evidence, cohort: Cohort) -> Signal:
    """One piece of evidence by the libraries of the field; a record as its tables have it."""
    files = locate(evidence, cohort.roots)
    load = LoadImage(reader="PydicomReader", ensure_channel_first=True)
    if evidence.modality == "ct":
        volume = Orientation("RAS")(load(str(files[0].parent)))
        spacing = tuple(float(s) for s in volume.pixdim)
        return CtVolume(np.asarray(volume[0], np.float32), (spacing[0], spacing[1], spacing[2]))
    if evidence.modality == "xray":
        from pydicom import dcmread
        from pydicom.pixels import apply_windowing

        header = dcmread(files[0], stop_before_pixels=True)
        stored = np.asarray(load(str(files[0]))).squeeze().T
        grey = apply_windowing(stored, header) / (2**header.BitsStored - 1)
        return XrayImage((1 - grey if header.PhotometricInterpretation == "MONOCHROME1" else grey).astype(np.float32))
    if evidence.modality == "eeg":
        import mne

        raw = mne.io.read_raw(next(f for f in files if f.suffix), preload=True, verbose="error")
        raw.rename_channels(lambda name: name.removeprefix("EEG ").removesuffix("-Ref"))
        return EegRecording(raw.get_data().astype(np.float32), tuple(raw.ch_names), float(raw.info["sfreq"]))
    return load_evidence(evidence, cohort.roots)


def answer_plainly(model: Model, case: CaseRecord, cohort: Cohort) -> Array:
    """Probabilities of one case."""
    outcomes = {}
    for name, prep in model.recipe.preps.items():
        usable = case.usable(name)
        prepared = prep(read_plainly(usable[-1], cohort), until=usable[-1].until) if usable else None
        hours = np.nan
        if usable and usable[-1].acquired_at is not None and case.decision_time is not None:
            hours = (case.decision_time - usable[-1].acquired_at).total_seconds() / 3600
        outcomes[name] = Outcome(prepared, hours, None)
    heard = listen_inside(model, stack([case], [outcomes], model.recipe)).heard
    p: Array = subset_probabilities(model, heard, np.zeros(1, int), heard.present)[0]
    return p


def loop(
    model: Model, cases: Sequence[CaseRecord], cohort: Cohort, *, ours: bool = False
) -> tuple[float, dict[str, Array]]:
    """Seconds, and the answers by case. PyTorch has all cores, BLAS one, with which small images are fastest."""
    torch.set_num_threads(os.cpu_count() or 1)
    with threadpool_limits(1, user_api="blas"), nullcontext() if ours else by_libraries():
        return _loop(model, cases, cohort)


@contextmanager
def by_libraries() -> Iterator[None]:
    """What SciPy and NumPy have for it in the place of our own: the same numbers but for rounding."""
    with ExitStack() as stack_of:
        for module, name, theirs in (
            (texture, "smoothed", lambda image, sigma, truncate=3.0: gaussian_filter(image, sigma, truncate=truncate)),
            (texture, "filled", binary_fill_holes),
            (texture, "quantiles", plain_quantiles),
        ):
            for used in (module, ct, xray):
                if hasattr(used, name):
                    stack_of.enter_context(patch.object(used, name, theirs))
        yield


def plain_quantiles(values: Array, at: tuple[float, ...]) -> Array:
    """Quantiles of the finite values, as one writes them down."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, at).astype(np.float32) if finite.size else np.full(len(at), np.nan, np.float32)


def _loop(model: Model, cases: Sequence[CaseRecord], cohort: Cohort) -> tuple[float, dict[str, Array]]:
    answer_plainly(model, cases[0], cohort)
    start = time.perf_counter()
    answers = {case.case_key: answer_plainly(model, case, cohort) for case in cases}
    return time.perf_counter() - start, answers
