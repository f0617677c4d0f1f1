"""Unpack JSON files of clinical data: whole documents and lines, plain or gzipped, within bounds.

In:  one file. Out: its documents as plain Python.

Depth is bounded by the parser (254), size and packing here; XML is refused without a look at its entities. An object
that says one thing twice is refused: JSON readers differ in which of the two they believe.
"""

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from clinic_mm.errors import EvidenceError

MAX_BYTES: Final = 256 << 20
"""Largest document after unpacking."""
LINE_BYTES: Final = 64 << 20
"""Largest line of NDJSON: one resource, whatever is attached to it."""
BLOCK_BYTES: Final = 4 << 20
BOMB_BYTES: Final = 32 << 20
BOMB_RATIO: Final = 200
"""More than 32 MiB out of bytes 200 times smaller is a bomb; real exports pack 5 to 40 times."""
BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n"
TOO_DEEP: Final = "nested too deep"


DOUBLED: Final = {"resourceType": "said twice"}
"""Stands for a resource that says one thing twice."""


class _Doubled(dict[str, Any]):
    """An object that says one thing twice, or holds one that does, and is in no resource."""


def documents(path: Path, troubles: Counter[str], passed: frozenset[bytes]) -> Iterator[object]:
    """All documents of a file: one, or one a line in NDJSON.

    Args:
        path: The file.
        troubles: Takes the count of lines that are no JSON.
        passed: Values of `resourceType` whose lines need not be read.

    Raises:
        EvidenceError: `fhir.unreadable` (cannot be opened or unpacked), `fhir.bomb`, `fhir.too_large`, `fhir.xml`,
            `fhir.not_json`, `fhir.doubled_key`.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            blocks = _blocks(gzip.GzipFile(fileobj=raw), raw) if packed else iter(_reads(raw))
            if _is_lines(path):
                yield from _lines(blocks, troubles, passed)
            else:
                yield _whole(blocks)
    except (OSError, EOFError, zlib.error):
        raise EvidenceError("fhir.unreadable", "The file cannot be read or unpacked", "", "Copy it again") from None


def _is_lines(path: Path) -> bool:
    return any(suffix.lower() in {".ndjson", ".jsonl"} for suffix in path.suffixes[-2:])


def _reads(stream: Any) -> Iterator[bytes]:  # noqa: ANN401 - any binary file
    while block := stream.read(BLOCK_BYTES):
        yield block


def _blocks(stream: gzip.GzipFile, packed: BinaryIO) -> Iterator[bytes]:
    """What a gzip file unpacks to, until it turns out to be a bomb: told by how little was read for it so far."""
    total = 0
    for block in _reads(stream):
        total += len(block)
        if total > BOMB_BYTES and total > BOMB_RATIO * packed.tell():
            what = f"The file unpacks to more than {BOMB_RATIO} times its size"
            raise EvidenceError("fhir.bomb", what, "", "Export it again, without a run of repeated bytes")
        yield block


def _whole(blocks: Iterator[bytes]) -> object:
    content: list[bytes] = []
    total = 0
    for block in blocks:
        content.append(block)
        total += len(block)
        _bounded(total, MAX_BYTES)
    raw = b"".join(content).removeprefix(BOM)
    _not_xml(raw)
    try:
        document = parsed(raw)
    except ValueError:
        raise EvidenceError("fhir.not_json", "The file is not JSON", "", "Export it again") from None
    if isinstance(document, _Doubled):
        what, mend = "The file says one thing twice", "Export it again; each name may stand once in an object"
        raise EvidenceError("fhir.doubled_key", what, "", mend)
    return document


def _lines(blocks: Iterator[bytes], troubles: Counter[str], passed: frozenset[bytes]) -> Iterator[object]:
    for line in _split(blocks):
        # Most exports write the type first: lines of other types cost nothing.
        if line[:17] == b'{"resourceType":"' and line[17 : line.find(b'"', 17, 80)] in passed:
            yield None
            continue
        try:
            document = parsed(line)
        except ValueError:
            if line.strip(BLANK):
                troubles["fhir.bad_line"] += 1
            continue
        if isinstance(document, _Doubled):
            troubles["fhir.doubled_key"] += 1
        else:
            yield document


def _split(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines; the pieces of a long one are put together once, at its end."""
    first = next(blocks, b"").removeprefix(BOM)
    _not_xml(first)
    begun: list[bytes] = []
    length = 0
    for block in chain((first,), blocks):
        piece, *more = block.split(b"\n")
        begun.append(piece)
        length += len(piece)
        _bounded(length, LINE_BYTES)
        if more:
            yield b"".join(begun)
            yield from more[:-1]
            begun, length = [more[-1]], len(more[-1])
    if rest := b"".join(begun):
        yield rest


def parsed(raw: bytes) -> object:
    """One document; a resource in it that says one thing twice is put as DOUBLED.

    Raises:
        ValueError: If it is no JSON, or nested too deep.
    """
    document = orjson.loads(raw)
    try:
        again = orjson.dumps(document)
    except orjson.JSONEncodeError:  # deeper than 254, which no resource is
        raise ValueError(TOO_DEEP) from None
    if len(again) == len(raw) or (again.count(b'"') == raw.count(b'"') and b"\\u0022" not in raw):
        return document  # nothing was dropped: a name that stands twice has quotation marks
    seen = [False]
    try:
        slowly = json.loads(raw, object_pairs_hook=lambda pairs: _object(pairs, seen))
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    return slowly if seen[0] else document


def _object(pairs: list[tuple[str, Any]], seen: list[bool]) -> dict[str, Any]:
    """One object, innermost first; what is odd in it costs the resource around it, and no more than that."""
    made = dict(pairs)
    if len(made) == len(pairs) and not (seen[0] and any(_holds_doubled(one) for one in made.values())):
        return made
    seen[0] = True
    if "resource" in made:  # an entry of a bundle
        return {"resource": DOUBLED}
    return DOUBLED if made.get("resourceType", "Bundle") != "Bundle" else _Doubled(made)


def _holds_doubled(value: object) -> bool:
    if isinstance(value, list):
        return any(isinstance(one, _Doubled) for one in value)
    return isinstance(value, _Doubled)


def _not_xml(head: bytes) -> None:
    if head[:256].lstrip(BLANK)[:1] == b"<":
        raise EvidenceError("fhir.xml", "This is XML, not JSON", "", "Export it as FHIR JSON or NDJSON")


def _bounded(length: int, most: int) -> None:
    if length > most:
        what = f"One document is larger than {most >> 20} MiB"
        raise EvidenceError("fhir.too_large", what, "", "Export it as NDJSON")
