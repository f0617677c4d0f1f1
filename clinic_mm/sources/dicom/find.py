"""Find CT series, radiographs and ECGs among DICOM files.

In:  files below a root, of any modality, whole or broken. Out: one `Found` per CT series, radiograph and ECG, and one
     per series or file that cannot be used, saying what it is and why.

Headers only, but for an ECG, which is small: no pixel is decoded and nothing is copied. One bad slice rejects its
series, never the others.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path

from clinic_mm.errors import EvidenceError
from clinic_mm.sources.ct.alike import alike_flags
from clinic_mm.sources.ct.volumes import Volume, volumes
from clinic_mm.sources.dicom.header import Header, read_header
from clinic_mm.sources.dicom.kinds import ENHANCED_CT, group_of, kind_of
from clinic_mm.sources.ecg.dicom import is_ecg, read_dicom_ecg
from clinic_mm.sources.ecg.facts import facts
from clinic_mm.sources.found import Found
from clinic_mm.sources.place import content_hash, rejected, relative
from clinic_mm.sources.xray import chest
from clinic_mm.times import parse_dicom
from clinic_mm.types import Evidence, Flag


def find_dicom(root: Path, root_name: str, files: Sequence[Path], zone: tzinfo) -> Iterator[Found]:
    """One finding per CT series, per radiograph and per ECG.

    Args:
        root: The folder that was looked through.
        root_name: Its name in the cohort; paths are kept relative to it.
        files: The DICOM files below it.
        zone: The site's time zone, for times that carry none.
    """
    series: dict[tuple[str, str, str], list[Header]] = {}
    refused: dict[tuple[str, ...], tuple[EvidenceError, list[Header]]] = {}
    for path in files:
        try:
            header = read_header(path)
        except EvidenceError as fault:
            yield Found("", rejected(fault, "dicom", root_name, root, [path]))
            continue
        try:
            if is_ecg(header.sop_class, header.modality):
                yield _ecg_found(root, root_name, header, zone)
            elif kind_of(header) == "xray":
                yield _xray_found(root, root_name, header, zone)
            else:
                series.setdefault(_series_key(header), []).append(header)
        except EvidenceError as fault:
            refused.setdefault((*group_of(header), fault.code), (fault, []))[1].append(header)
    for slices in series.values():
        yield from _ct_found(root, root_name, slices, zone)
    for why, headers in refused.values():
        modality = {"CT": "ct", "CR": "xray", "DX": "xray"}.get(headers[0].modality, "dicom")
        paths = [header.path for header in headers]
        finding = rejected(why, modality, root_name, root, paths, _acquired_at(headers, zone))
        yield Found(headers[0].patient_id, finding)


def _series_key(header: Header) -> tuple[str, str, str]:
    """Slices without a series UID are one series per folder; their geometry must still fit together."""
    patient_id, study_uid, series_uid = group_of(header)
    if header.sop_class in ENHANCED_CT:  # each multi-frame file is a volume of its own
        return patient_id, study_uid, f"file {header.path}"
    return patient_id, study_uid, series_uid or f"folder {header.path.parent}"


def _ct_found(root: Path, root_name: str, headers: list[Header], zone: tzinfo) -> Iterator[Found]:
    for one in volumes(headers):
        if isinstance(one, Volume):
            yield _found(root, root_name, one, zone, "ct")
        else:
            fault, concerned = one
            yield _refused(root, root_name, concerned, zone, "ct", fault)


def _xray_found(root: Path, root_name: str, header: Header, zone: tzinfo) -> Found:
    try:
        meta, flags = chest.described(header)
        return _found(root, root_name, Volume([header], [header.path], "", meta, flags), zone, "xray")
    except EvidenceError as fault:
        return _refused(root, root_name, [header], zone, "xray", fault)


def _ecg_found(root: Path, root_name: str, header: Header, zone: tzinfo) -> Found:
    try:
        ecg = read_dicom_ecg(header.path)
        return _found(root, root_name, Volume([header], [header.path], "", facts(ecg), ecg.flags), zone, "ecg")
    except EvidenceError as fault:
        return _refused(root, root_name, [header], zone, "ecg", fault)


def _found(root: Path, root_name: str, one: Volume, zone: tzinfo, modality: str) -> Found:
    headers = one.headers
    try:
        finding = Evidence(
            modality=modality,
            root=root_name,
            paths=relative(root, one.files),
            locator=one.locator,
            acquired_at=_acquired_at(headers, zone),
            content_hash=content_hash(one.files),
            flags=(*_flags(headers, zone), *one.flags),
            meta={"format": "dicom", **({} if modality == "ecg" else _described(headers[0])), **one.meta},
        )
    except EvidenceError as fault:
        return _refused(root, root_name, headers, zone, modality, fault)
    return Found(headers[0].patient_id, finding)


def _refused(
    root: Path, root_name: str, headers: Sequence[Header], zone: tzinfo, modality: str, fault: EvidenceError
) -> Found:
    paths = list(dict.fromkeys(header.path for header in headers))
    return Found(headers[0].patient_id, rejected(fault, modality, root_name, root, paths, _acquired_at(headers, zone)))


def _described(header: Header) -> dict[str, object]:
    return {"body_part": header.body_part, "transfer_syntax": header.pixels.transfer_syntax}


def _flags(headers: Sequence[Header], zone: tzinfo) -> tuple[Flag, ...]:
    """What the files say of themselves; what one slice has, its series has."""
    own = dict.fromkeys(flag for header in headers for flag in (*header.flags, *_said(header)))
    alike = alike_flags(headers, [_moment(header, zone) for header in headers]) if len(headers) > 1 else ()
    return (*own, *alike)


def _said(header: Header) -> tuple[Flag, ...]:
    flags = []
    if not header.modality:
        flags.append(Flag(code="dicom.modality_missing", why="Modality is empty; the SOP class says CT"))
    if header.modality == "CT" and not header.series_uid:
        flags.append(
            Flag(code="ct.series_by_folder", why="Slices name no series; those of one folder were taken as one")
        )
    if header.burned_in:
        flags.append(
            Flag(code="dicom.burned_in", why="The picture has text burned into it, which may name the patient")
        )
    return tuple(flags)


def _acquired_at(headers: Sequence[Header], zone: tzinfo) -> datetime | None:
    """When the last of them was acquired; a header's own offset from UTC goes before the site's zone."""
    times = [_moment(header, zone) for header in headers]
    return max((time for time in times if time is not None), default=None)


def _moment(header: Header, zone: tzinfo) -> datetime | None:
    zone = _own_zone(header.utc_offset) or zone
    return next((time for moment in header.moments if (time := parse_dicom(*moment, zone))), None)


def _own_zone(offset: str) -> tzinfo | None:
    if len(offset) != 5 or offset[0] not in "+-" or not offset[1:].isdecimal():
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[3:])
    if minutes >= 24 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
