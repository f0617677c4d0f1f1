"""Open a study for a viewer: from the cache, or decoded now, once however many ask, and kept while it is shown already.

In:  a piece of evidence, the folders of its roots. Out: a `Readable`; or `EvidenceError`.

A view is named by the content that ingest noted, the part of the files that is meant and the code that reads them, so
no name can lead to another study. Files that hold something else than at ingest are refused, never shown as the study.
Compressed pixels are decoded in the guarded worker of `sources.dicom`. A CT of single slices opens when its headers
have been checked and its files are those of ingest; what is asked for first is decoded first (`ComingVolume`).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore, Lock
from typing import Final, Protocol, TypeVar

from clinic_mm.cohort.load import load_evidence, locate
from clinic_mm.errors import ClinicError, EvidenceError
from clinic_mm.prep.code import code_version
from clinic_mm.signals import CtVolume
from clinic_mm.sources.contents import stamp
from clinic_mm.sources.ct.slicewise import slicewise
from clinic_mm.sources.place import content_hash
from clinic_mm.types import Evidence
from clinic_mm.viewing.cache import ViewCache
from clinic_mm.viewing.coming import ComingVolume
from clinic_mm.viewing.picture import picture
from clinic_mm.viewing.volume import FreshVolume, Readable

VERSION: Final = "view 2"
ID_DIGITS: Final = 16
KINDS: Final = ("ct", "xray")
IN_MEMORY: Final = 3
"""Fresh studies that one process goes on holding, where the disk has no room for them."""
AT_ONCE: Final = 3
"""Studies of one process that are being decoded or written: a CT of 300 slices takes 0.5 GB meanwhile."""
MOST_WAITING: Final = 16
BESIDE: Final = 2
"""Volumes that are decoded at the same time while their first slices are looked at."""
INGEST_AGAIN: Final = "Run clinic-mm ingest again"


Read = TypeVar("Read")


class Fresh(Readable, Protocol):
    """A `Readable` in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all blocks."""


def study_id(evidence: Evidence) -> str:
    """What stands for a study in an address: the same for the same content, and nothing can be read from it."""
    part = (evidence.content_hash or "|".join((evidence.root, *evidence.paths)), evidence.locator, str(evidence.until))
    return hashlib.sha256("|".join(part).encode()).hexdigest()[:ID_DIGITS]


def study_of(found: Iterable[Evidence], study: str) -> Evidence | None:
    """The piece of evidence with that id; None where it is not among them."""
    return next((one for one in found if study_id(one) == study), None)


class Studies:
    """What one process has opened: the cache on disk, and what is just being decoded."""

    def __init__(self, cache: ViewCache) -> None:
        self.cache = cache
        self._decoding: dict[str, Future[Fresh]] = {}
        self._fresh: OrderedDict[str, Fresh] = OrderedDict()
        self._lock = Lock()
        self._decoder = ThreadPoolExecutor(BESIDE, "decode volumes")
        self._as_a_whole: set[str] = set()  # what failed after its first slices were shown
        self._keeper = ThreadPoolExecutor(1, "keep views")
        self._warmer = ThreadPoolExecutor(1, "warm views")
        self._room = BoundedSemaphore(AT_ONCE)
        self._waiting: OrderedDict[str, tuple[Evidence, str, Mapping[str, Path]]] = OrderedDict()

    def opened(self, evidence: Evidence, kind: str, roots: Mapping[str, Path]) -> Readable:
        """A study, from disk or decoded; whoever asks for what is being decoded waits for that.

        Raises:
            EvidenceError: If it cannot be decoded, or its files are not what ingest read.
        """
        name = view_name(evidence, kind, roots)
        with self._lock:
            if held := self._fresh.get(name):
                self._fresh.move_to_end(name)
                return held
        if view := self.cache.get(name):
            return view
        with self._lock:
            mine = name not in self._decoding
            waiting = self._decoding.setdefault(name, Future())
        if mine:
            slices_first = kind == "ct" and name not in self._as_a_whole
            self._decode(
                name,
                waiting,
                lambda: (coming(evidence, roots) if slices_first else None) or decoded(evidence, kind, roots),
                lambda: decoded(evidence, kind, roots),
            )
        return waiting.result()

    def damaged(self, evidence: Evidence, kind: str, roots: Mapping[str, Path]) -> None:
        """Forget what is kept of a study: its next opening decodes it."""
        self.cache.drop(view_name(evidence, kind, roots))

    def warm(self, wanted: Iterable[tuple[Evidence, str]], roots: Mapping[str, Path]) -> None:
        """Decode studies that will be asked for soon, one after the other, beside the work; the newest wish first."""
        with self._lock:
            for evidence, kind in reversed(list(wanted)):
                self._waiting[study_id(evidence)] = (evidence, kind, roots)
                self._waiting.move_to_end(study_id(evidence))
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        self._warmer.submit(self._warm)

    def close(self) -> None:
        """Finish what is being kept, begin nothing more."""
        with self._lock:
            self._waiting.clear()
        self._warmer.shutdown()
        self._decoder.shutdown()
        self._keeper.shutdown()

    def _warm(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                _, (evidence, kind, roots) = self._waiting.popitem()
            try:
                found = self.opened(evidence, kind, roots)
                if isinstance(found, ComingVolume):
                    found.finished()
            except ClinicError:
                continue  # told to whoever opens it

    def _decode(
        self, name: str, waiting: "Future[Fresh]", begin: Callable[[], Fresh], whole: Callable[[], Fresh]
    ) -> None:
        self._room.acquire()
        try:
            fresh = begin()
        except BaseException as error:
            self._room.release()
            waiting.set_exception(error)
            raise
        else:
            with self._lock:
                self._fresh[name] = fresh
                while len(self._fresh) > IN_MEMORY:
                    self._fresh.popitem(last=False)
            waiting.set_result(fresh)
            if isinstance(fresh, ComingVolume):
                self._decoder.submit(self._finish, name, fresh, whole)
            else:
                self._keeper.submit(self._keep, name, fresh)
        finally:
            with self._lock:
                self._decoding.pop(name, None)

    def _finish(self, name: str, fresh: ComingVolume, whole: Callable[[], Fresh]) -> None:
        """Decode the rest; a series that the reader refuses is taken back, and opens as a whole or not at all."""
        try:
            fresh.finish(whole)
        except Exception:  # noqa: BLE001 - told to whoever reads on; the room must be given back
            with self._lock:
                self._as_a_whole.add(name)
                self._fresh.pop(name, None)
            self._room.release()
        else:
            self._keeper.submit(self._keep, name, fresh)

    def _keep(self, name: str, fresh: Fresh) -> None:
        try:
            blocks = (fresh.read(at, at + 1)[0] for at in range(fresh.shape[0]))
            if self.cache.keep(name, fresh.told, fresh.shape, blocks) is not None:
                with self._lock:
                    self._fresh.pop(name, None)
        finally:
            self._room.release()


def view_name(evidence: Evidence, kind: str, roots: Mapping[str, Path]) -> str:
    """The name of a view in the cache: content, part, reader's code; where ingest noted no content, the files' stamps.

    Raises:
        EvidenceError: Only without a content hash: if a file is gone or lies outside its root.
    """
    content = evidence.content_hash or stamp(locate(evidence, roots)).digest
    suffixes = [PurePosixPath(path).suffix.lower() for path in evidence.paths]
    part = (VERSION, kind, code_version(kind), content, *suffixes, evidence.locator, str(evidence.until))
    return hashlib.sha256("|".join(part).encode()).hexdigest()


def decoded(evidence: Evidence, kind: str, roots: Mapping[str, Path]) -> Fresh:
    """A study as it lies in its files, which are held against what ingest noted at the same time.

    Raises:
        EvidenceError: If it cannot be decoded; `file.changed`.
    """
    files = locate(evidence, roots)
    return _of_ingest(evidence, kind, files, lambda: _load(evidence, kind, roots, files))


def coming(evidence: Evidence, roots: Mapping[str, Path]) -> ComingVolume | None:
    """A CT whose slices can be had before all are decoded: headers checked, files held against what ingest noted.

    Returns:
        None where it can only be had as a whole.

    Raises:
        EvidenceError: As `decoded`, of headers.
    """
    files = locate(evidence, roots)
    if len(files) < 2:  # one file is read as a whole anyway
        return None
    series = _of_ingest(evidence, "ct", files, lambda: slicewise(files, evidence.locator))
    return ComingVolume(series) if series else None


def _of_ingest(evidence: Evidence, kind: str, files: tuple[Path, ...], read: Callable[[], Read]) -> Read:
    """What is read of files, while these are held against what ingest noted."""
    with ThreadPoolExecutor(1) as beside:  # hashing lets go of the interpreter: on two cores it costs no time
        seen = beside.submit(content_hash, files) if evidence.content_hash else None
        try:
            found = read()
        except ClinicError:
            raise
        except Exception as error:  # noqa: BLE001 - the border to the readers: a viewer gets a reason, never a traceback
            what = f"Its reader failed ({type(error).__name__})"
            raise EvidenceError("reader.failed", what, kind, "Report this as a fault of clinic_mm") from None
        if seen is not None and seen.result() != evidence.content_hash:
            raise EvidenceError("file.changed", "The files are no longer what ingest read", kind, INGEST_AGAIN)
    return found


def _load(evidence: Evidence, kind: str, roots: Mapping[str, Path], files: tuple[Path, ...]) -> Fresh:
    if kind == "xray":
        return picture(files)
    volume = load_evidence(evidence, roots, kind)
    assert isinstance(volume, CtVolume)
    return FreshVolume(volume)
