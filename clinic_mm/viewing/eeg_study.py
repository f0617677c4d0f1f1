"""Open recordings for viewers: pages at once, the pass over the whole beside it, once however many ask.

In:  a piece of evidence, the folders of its roots, the cache of views. Out: `EegStudy`; or `EvidenceError`.

What is kept on disk is a survey, under a name of content and code: files that hold something else than at ingest are
refused once the pass has held them against what ingest noted; until then a page is what the file holds now, and a file
that changes while it is open is refused by its reader.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Final

import numpy as np

from clinic_mm.cohort.load import locate
from clinic_mm.errors import ArtifactError, ClinicError, EvidenceError
from clinic_mm.signals import EegRecording
from clinic_mm.sources.eeg.channels import channel_table
from clinic_mm.sources.eeg.quality import Quality
from clinic_mm.sources.eeg.recording import open_eeg
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.eeg_survey import Survey, from_bytes, survey, to_bytes
from clinic_mm.viewing.study import INGEST_AGAIN, view_name

HELD: Final = 32
"""Opened recordings of one process: headers and surveys (up to 30 MB for a day), no samples."""


class EegStudy:
    """One opened recording.

    Attributes:
        recording: Header, names, annotations; samples on demand.
    """

    def __init__(
        self, recording: EegRecording, files: tuple[Path, ...], noted: str, name: str, cache: ViewCache
    ) -> None:
        """Args: `noted` is the content hash of ingest, "" where it noted none; `name` is that of the survey."""
        self.recording = recording
        self._files, self._noted, self._name, self._cache = files, noted, name, cache
        self._survey: Future[Survey] | None = None
        self._lock = Lock()

    @property
    def quality(self) -> Quality | None:
        """What judging the channels found; None while nobody has looked. A short recording is looked at now."""
        channels, samples = self.recording.volts.shape
        if channels * samples <= channel_table().values_held:
            return self.survey().quality
        found = self._survey
        return found.result().quality if found and found.done() and not found.exception() else None

    def survey(self) -> Survey:
        """What one pass over the recording shows: kept, or made now; whoever asks meanwhile waits for it.

        Raises:
            EvidenceError: If it cannot be decoded; `file.changed` if it is not what ingest read.
        """
        with self._lock:
            mine = self._survey is None or (self._survey.done() and self._survey.exception() is not None)
            if mine:
                self._survey = Future()
            waiting = self._survey
        assert waiting is not None
        if mine:
            try:
                waiting.set_result(self._kept() or self._made())
            except BaseException as error:
                waiting.set_exception(error)
                raise
        return waiting.result()

    def _kept(self) -> Survey | None:
        view = self._cache.get(self._name)
        if view is None:
            return None
        try:
            return from_bytes(view.whole().tobytes()[: int(view.told["bytes"])])
        except ArtifactError:
            self._cache.drop(self._name)
            return None

    def _made(self) -> Survey:
        found = survey(self.recording)
        if self._noted and content_hash(self._files) != self._noted:
            raise EvidenceError("file.changed", "The files are no longer what ingest read", "eeg", INGEST_AGAIN)
        data = to_bytes(found)
        whole = np.frombuffer(data + b"\0" * (len(data) % 2), "<i2")
        self._cache.keep(self._name, {"bytes": len(data)}, (1, len(whole)), [whole])
        return found


class EegStudies:
    """What one process has opened."""

    def __init__(self, cache: ViewCache) -> None:
        self._cache = cache
        self._held: OrderedDict[str, EegStudy] = OrderedDict()
        self._lock = Lock()

    def opened(self, evidence: Evidence, roots: Mapping[str, Path]) -> EegStudy:
        """A recording, its header read once while its files stay as they are.

        Raises:
            EvidenceError: If it cannot be opened.
        """
        files = locate(evidence, roots)
        name = _survey_name(evidence, roots)
        key = f"{name}|{[(file.stat().st_mtime_ns, file.stat().st_ino) for file in files]}"
        with self._lock:
            if found := self._held.get(key):
                self._held.move_to_end(key)
                return found
        found = EegStudy(_opened(files), files, evidence.content_hash, name, self._cache)
        with self._lock:
            found = self._held.setdefault(key, found)
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return found


def _survey_name(evidence: Evidence, roots: Mapping[str, Path]) -> str:
    return hashlib.sha256(f"survey|{view_name(evidence, 'eeg', roots)}".encode()).hexdigest()


def _opened(files: tuple[Path, ...]) -> EegRecording:
    try:
        return open_eeg(files)
    except ClinicError:
        raise
    except OSError:
        raise EvidenceError("file.unreadable", "A file cannot be opened", "eeg", "Check that it may be read") from None
    except Exception as error:  # noqa: BLE001 - the border to the readers: a viewer gets a reason, never a traceback
        what = f"Its reader failed ({type(error).__name__})"
        raise EvidenceError("reader.failed", what, "eeg", "Report this as a fault of clinic_mm") from None
