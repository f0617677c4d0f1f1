"""Put each hard file where its hazard is met: a lone CT slice is refused as no volume, whatever else is wrong with it.

In:  the hard files, read in place. Out: an ingest file with one source for each, in a temporary folder.

A hurt slice gets four good sisters, made from the file that it was made of; of a hurt picture a whole series is made
as well, where the file can be read at all. The fuzz corpus was made of a slice without position, rescale and pixels:
these are written into its files, around what was hurt.
"""

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom import dcmread

from tests.fuzz.seeds import phantom

SISTERS: Final = 5
HURT: Final = 2
"""The place of the hurt slice among its sisters."""
PARENT: Final = "generated/ok_baseline.dcm"
FUZZ_PARENT: Final = "fuzz/baseline/BASELINE_valid_ct.dcm"
NECK: Final = "bad_sequence.dcm"
GAP_MM: Final = 5.0
FUZZ_PIXEL_BYTES: Final = 64 * 64 * 2
MANY: Final = "-many"
"""Ends the name of a source whose series is hurt in every slice."""


def sources(root: Path, names: list[str], into: Path) -> dict[str, str]:
    """An ingest file `into/cohort.toml` with a source for each hard file or folder.

    Args:
        root: Folder of the hard files.
        names: Their names below it.
        into: Where the ingest file and the series around hurt slices are written.

    Returns:
        The names of the sources, by the name of the file; several files may share one.
    """
    places: dict[str, str] = {}
    lines = []
    for name in names:
        whole = name.startswith(("series/", "ct_geometry/"))
        told = name.rsplit("/", 1)[0] if whole else name
        source = told.replace("/", "_")
        if source not in places.values():
            lines += _source(source, root / told, into)
        places[name] = source
    (into / "cohort.toml").write_text("\n".join(lines), encoding="utf-8")
    return places


def _source(source: str, path: Path, into: Path) -> Iterator[str]:
    folder = into / source
    kind = path.parts[-2]
    if path.suffix == ".dcm" and kind == "generated" and not path.name.startswith("png"):
        _among_sisters(path, folder)
        if _all_alike(path, into / f"{source}{MANY}"):
            yield _toml(f"{source}{MANY}", into / f"{source}{MANY}", "header")
        path = folder
    elif path.suffix == ".dcm" and "fuzz" in path.parts:
        _fuzz_among_sisters(path, folder)
        path = folder
    elif path.name == NECK:
        _stacked(path, folder)
        path = folder
    yield _toml(source, path, "stem" if path.name.startswith("png") or path.suffix == ".png" else "header")


def _toml(name: str, path: Path, patient: str) -> str:
    return f'[[source]]\nname = "{name}"\npath = "{path}"\npatient = "{patient}"\n'


def _among_sisters(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    for place in range(SISTERS):
        target = folder / f"{place}.dcm"
        if place == HURT:
            target.write_bytes(path.read_bytes())
        else:
            _moved(path.parents[1] / PARENT, target, place)


def _all_alike(path: Path, folder: Path) -> bool:
    """Five slices as hurt as this one, if it can be read and written at all."""
    folder.mkdir(parents=True)
    try:
        for place in range(SISTERS):
            _moved(path, folder / f"{place}.dcm", place)
    except Exception:  # noqa: BLE001 - a hurt file may raise anything; then there is no such series
        return False
    return True


def _stacked(path: Path, folder: Path) -> None:
    """Five copies of a slice, 1 mm apart; not a byte but of their positions is written anew."""
    folder.mkdir(parents=True)
    raw = path.read_bytes()
    for place in range(SISTERS):
        (folder / f"{place}.dcm").write_bytes(raw.replace(b"1687.5  ", f"{1687.5 + place:<8}".encode()))


def _moved(path: Path, target: Path, place: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, float(z) + GAP_MM * (place - HURT)]
        dataset.InstanceNumber = place + 1
        if place != HURT:
            dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID[:-2]}.{place}"
        dataset.save_as(target)


def _fuzz_among_sisters(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    parent = next(up for up in path.parents if up.name == "fuzz").parent / FUZZ_PARENT
    for place in range(SISTERS):
        raw = (path if place == HURT else parent).read_bytes()
        (folder / f"{place}.dcm").write_bytes(_fitted(raw, place))


def _fitted(raw: bytes, place: int) -> bytes:
    """Position, spacing, rescale and pixels for a slice of the corpus, where their places can still be found."""
    z = f"{GAP_MM * place:.1f}"
    raw = _behind(
        raw, b"\x20\0\x13\0IS\x02\x001 ", _text(0x20, 0x32, f"0\\0\\{z}") + _text(0x20, 0x37, "1\\0\\0\\0\\1\\0")
    )
    raw = _before(raw, b"\x28\0\x00\x01US", _text(0x28, 0x30, "2\\2"))
    raw = _before(raw, b"\xe0\x7f\x10\0O", _text(0x28, 0x1052, "-1024") + _text(0x28, 0x1053, "1"))
    at = raw.rfind(b"\xe0\x7f\x10\0O") + 12
    if at > 12 and raw[at : at + FUZZ_PIXEL_BYTES] == bytes(FUZZ_PIXEL_BYTES):
        raw = raw[:at] + phantom(1, 64, 64)[0].astype("<u2").tobytes() + raw[at + FUZZ_PIXEL_BYTES :]
    if place != HURT:
        raw = raw.replace(b"64405893709697760943104387138587130913", b"6440589370969776094310438713858713091%d" % place)
    return raw


def _text(group: int, element: int, text: str) -> bytes:
    value = text.encode() + b" " * (len(text) % 2)
    return struct.pack("<HH2sH", group, element, b"DS", len(value)) + value


def _behind(raw: bytes, mark: bytes, more: bytes) -> bytes:
    return raw.replace(mark, mark + more) if raw.count(mark) == 1 else raw


def _before(raw: bytes, mark: bytes, more: bytes) -> bytes:
    return raw.replace(mark, more + mark) if raw.count(mark) == 1 else raw
