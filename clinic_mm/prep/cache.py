"""Keep prepared evidence on disk, bounded, one safetensors file each.

In:  evidence with its content hash, a prep. Out: what that prep made of it before, or nothing.
A hit is decided by the content hash that ingest wrote, what part of the file was meant, and the whole recipe with its
version; a changed recipe is never served stale. A file changed after ingest is found by `ingest`, not here.
The least recently used files go first once the bound is passed.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from clinic_mm.prep.base import Prep, Prepared
from clinic_mm.signals import Signal
from clinic_mm.types import Evidence, Flag

DEFAULT_GB: Final = 20.0
SWEEP_EVERY: Final = 256
FLAGS: Final = TypeAdapter(tuple[Flag, ...])


class PrepCache:
    """A folder of prepared evidence, at most `most_gb` large."""

    def __init__(self, folder: Path, most_gb: float = DEFAULT_GB) -> None:
        self.folder, self.most_bytes, self.writes = folder, int(most_gb * 1e9), 0
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, evidence: Evidence, prep: Prep[Signal]) -> Prepared | None:
        """What stands in the cache; None on a miss, on a damaged file, and for evidence without a content hash."""
        path = self._path(evidence, prep)
        if path is None or not path.is_file():
            return None
        try:
            arrays = load_file(path)
            path.touch()
            return Prepared(arrays["x"], arrays["plain"], FLAGS.validate_json(arrays["flags"].tobytes()))
        except (SafetensorError, OSError, KeyError, ValidationError):
            return None

    def put(self, evidence: Evidence, prep: Prep[Signal], prepared: Prepared) -> None:
        """Write atomically; a full or vanished disk costs the next run time, not this one its evidence."""
        path = self._path(evidence, prep)
        if path is None:
            return
        part = path.with_suffix(f".{os.getpid()}.part")
        flags = np.frombuffer(FLAGS.dump_json(prepared.flags), dtype=np.uint8)
        try:
            save_file({"x": prepared.x, "plain": prepared.plain, "flags": flags}, part)
            part.replace(path)
        except (SafetensorError, OSError):
            part.unlink(missing_ok=True)
            return
        self.writes += 1
        if self.writes % SWEEP_EVERY == 0:
            self.sweep()

    def sweep(self) -> None:
        """Delete the least recently used files until the bound holds."""
        files = sorted(self.folder.glob("*.safetensors"), key=lambda f: f.stat().st_mtime_ns, reverse=True)
        total = 0
        for file in files:
            total += file.stat().st_size
            if total > self.most_bytes:
                file.unlink(missing_ok=True)

    def _path(self, evidence: Evidence, prep: Prep[Signal]) -> Path | None:
        if not evidence.content_hash:
            return None
        parts = (evidence.content_hash, evidence.locator, str(evidence.until), prep.key)
        return self.folder / f"{hashlib.sha256('|'.join(parts).encode()).hexdigest()}.safetensors"
