"""Whole, valid DICOM files to damage: a small CT series and a radiograph in every syntax that can be written here.

In:  a transfer syntax. Out: files with the header of a real scanner's, made of nothing but numbers and invented words.
"""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.sources.made import write_radiograph, write_series

SYNTAXES: Final = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)
SLICES: Final = 5
ELEMENTS: Final = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Nobody^Invented",
    "PatientBirthDate": "19500505",
    "PatientSex": "O",
    "PatientAge": "051Y",
    "SeriesDate": "20240102",
    "AcquisitionDate": "20240102",
    "AcquisitionTime": "101530.5",
    "Manufacturer": "Simulated",
    "StudyDescription": "Simulated thorax",
    "BodyPartExamined": "CHEST",
    "ProtocolName": "Fuzz",
    "SeriesNumber": "2",
    "FrameOfReferenceUID": "1.2.3.9",
    "WindowCenter": "40",
    "WindowWidth": "400",
    "ImageComments": "Simulated",
}


def phantom(slices: int = SLICES, rows: int = 32, columns: int = 40) -> np.ndarray:
    """A body of water with bone and lung in air, 12 bits, slowly changing along the slices; value 1024 is 0 HU."""
    rng = np.random.default_rng(5)
    z, y, x = np.mgrid[0:slices, -1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    stored = np.where(x**2 + y**2 < 0.8 - 0.01 * z, 1060, 24)
    stored = np.where((x - 0.35) ** 2 + y**2 < 0.06 + 0.004 * z, 250, stored)
    stored = np.where(x**2 + (y - 0.5) ** 2 < 0.02, 1900, stored)
    return np.clip(stored + rng.normal(0, 12, stored.shape), 0, 4095).astype(np.uint16)


def series(syntax: str) -> list[bytes]:
    """Five slices, 3 mm apart."""
    with TemporaryDirectory() as folder:
        files = write_series(Path(folder), phantom(), BitsStored=12, HighBit=11, SpacingBetweenSlices=3.0, **ELEMENTS)
        return [_in_syntax(dcmread(path), syntax) for path in files]


def radiograph(syntax: str) -> bytes:
    """One frontal chest, 12 bits, with a window."""
    stored = phantom(1, 48, 40)[0]
    more = {**ELEMENTS, "WindowCenter": "1000", "WindowWidth": "2000", "ViewPosition": "PA", "Laterality": ""}
    with TemporaryDirectory() as folder:
        path = write_radiograph(
            Path(folder) / "x.dcm", stored, BitsStored=12, HighBit=11, PixelSpacing=[0.5, 0.5], **more
        )
        return _in_syntax(dcmread(path), syntax)


def _in_syntax(dataset: Dataset, syntax: str) -> bytes:
    file = BytesIO()
    if syntax in {RLELossless, JPEGLSLossless, JPEG2000Lossless}:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset.decode()  # so that every number is written anew, in the other order
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()
