"""Plant unique tokens wherever one can stand, de-identify, and look for them in everything that comes out.

In:  how many tokens, a seed. Out: how many were planted, in files written or refused, and where one was found.

`run(n, seed)` is what `python -m tests.fuzz.report` calls. A token is a word of no language, so that a rule must find
it by its place; in notes it stands where something points to it (see `plant_note`), since only that is claimed.
"""

import base64
import gzip
import io
import json
import logging
import random
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from clinic_mm.deid.run import Told, deidentify
from tests.deid.plant_dicom import dicom_file
from tests.deid.plant_edf import edf_file
from tests.deid.plant_fhir import fhir_file
from tests.deid.plant_note import note_file
from tests.deid.tokens import Tokens

PLANTERS = {"dicom": dicom_file, "edf": edf_file, "fhir": fhir_file, "note": note_file}
PER_FORMAT = {"dicom": 0.4, "edf": 0.15, "fhir": 0.3, "note": 0.15}
BASE64 = re.compile(rb"[A-Za-z0-9+/]{12,}")


def run(n: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Plant `n` tokens and count what is found again: `found` must be empty."""
    rng, logged = random.Random(seed), io.StringIO()
    handler = logging.StreamHandler(logged)
    logging.getLogger().addHandler(handler)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            redirect_stdout(logged),
            redirect_stderr(logged),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("always")  # and written to stderr, as in a command
            root = Path(folder)
            tokens, files = _plant(n, rng, root / "source")
            told = deidentify(root / "source", root / "out", key=root / "key" / "pseudonym.key")
            found = _found(tokens, root / "out", told, logged.getvalue())
    finally:
        logging.getLogger().removeHandler(handler)
    refused = {Path(path).name for path, *_ in told.refused}
    planted: Counter[str] = Counter()
    for name, (kind, count) in files.items():
        planted[f"{kind} {'refused' if name in refused else 'written'}"] += count
    return {
        "planted": len(tokens),
        "by_format": dict(sorted(planted.items())),
        "files": len(files),
        "refused": dict(told.record.refused),
        "found": found,
    }


def _plant(n: int, rng: random.Random, root: Path) -> tuple[Tokens, dict[str, tuple[str, int]]]:
    tokens, files = Tokens(rng), {}
    for kind, share in PER_FORMAT.items():
        goal = len(tokens) + round(n * share)
        while len(tokens) < goal:
            before = len(tokens)
            name, content = PLANTERS[kind](tokens, rng)
            path = root / tokens.word() / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            files[path.name] = (kind, len(tokens) - before)
    return tokens, files


def _found(tokens: Tokens, out: Path, told: Told, logged: str) -> list[str]:
    said = [logged, told.record.model_dump_json(), *(" ".join(row[1:]) for row in told.refused)]
    found = [f"{token} in a log or an error" for text in said for token in tokens.seen(text.encode())]
    for path in out.rglob("*"):
        place = str(path.relative_to(out))
        found += [f"{token} in the name {place}" for token in tokens.seen(place.encode())]
        if path.is_file():
            found += [f"{token} in {place}" for form in _forms(path.read_bytes()) for token in tokens.seen(form)]
    return sorted(set(found))


def seen_in(tokens: Tokens, folder: Path) -> set[str]:
    """All tokens that the search finds in the files and names of a folder: what shows that it can find them."""
    names = "\n".join(str(path.relative_to(folder)) for path in folder.rglob("*"))
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {t for one in (names.encode(), *contents) for form in _forms(one) for t in tokens.seen(form)}


def _forms(content: bytes) -> Iterator[bytes]:
    """The content as it is, unpacked, as UTF-16, and what its base64 holds at every alignment."""
    yield content
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
        yield content
    yield content.replace(b"\0", b"")
    for run_ in BASE64.findall(content):
        for start in range(4):
            part = run_[start:]
            yield base64.b64decode(part[: len(part) // 4 * 4])


if __name__ == "__main__":
    import sys

    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2])), indent=1))  # noqa: T201
