"""One reader of the load script (`benchmarks.readers`): signs in, and reads case after case, an action now and then.

In:  the address that nginx answers on, who he is, which cases are his. Out: how long each action took, and what failed.

    over the websocket   the list, a search, a case, begin, first opinion, accept, sign; and the list by itself
    over HTTP            sign in, the page with its files, decoding ahead, slices of CT, the radiograph, pages of an
                         EEG, and whether the session lasts: what the scripts of our pages fetch

An action is counted from its sending to its last byte; of a page, to the end of its run.
"""

import http.client
import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Final
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import WebSocketException

from tests.serving import PASSWORD, Address
from tests.wire import Reader, reading

ASSET: Final = re.compile(r'(?:src|href)="\./(static/[^"]+)"')
AHEAD: Final = re.compile(rb'"cases": ?\[([^\]]*)\]')
STUDY: Final = re.compile(rb"/v1/case/[0-9a-f]+/(?:ct|xray|eeg)/[0-9a-f]+")
RUN_OF_SLICES: Final = 16
EEG_PAGE_S: Final = 10
WAIT_S: Final = 120
BY_ITSELF: Final = "the list by itself"
COMES_IN: Final = "comes in: page and its files"
OPINION: Final = {"It is": "positive", "How sure": "Sure"}
FORM: Final = "application/x-www-form-urlencoded"


@dataclass
class Told:
    """What a reader met.

    Attributes:
        took: Kind of action, when it began (of `time.monotonic`), seconds until it was done.
        failed: Kind of action, and in which way.
    """

    took: list[tuple[str, float, float]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


class Visit:
    """A person at the screen.

    Args:
        front: Where nginx answers.
        name: Of a user with a password.
        cases: His own, one after the other.
        large: Addresses of larger CT series, in which everybody turns slices.
        every_s: From the beginning of an action to that of the next, on average.
        seed: Of chance: when he acts.
        kept: Files that his browser has from an earlier visit; what comes as immutable is added.
    """

    def __init__(
        self,
        front: Address,
        name: str,
        cases: Sequence[str],
        large: Sequence[str],
        *,
        every_s: float,
        seed: int,
        kept: set[str],
    ) -> None:
        self.told, self._front, self._name, self._large = Told(), front, name, large
        self._cases, self._every_s, self._chance = list(cases), every_s, random.Random(seed)  # noqa: S311 - when he acts
        self._token, self._host, self._kept = "", urlsplit(front).netloc, kept
        self._ahead: dict[str, bool] = {}
        self._wire = http.client.HTTPConnection(self._host, timeout=WAIT_S)

    def day(self, over: Event) -> None:
        """Read until it is over, then leave."""
        over.wait(self._chance.uniform(0, self._every_s))
        try:
            with self._timed("signs in"):
                self._signs_in()
            with self._timed(COMES_IN):
                self._comes_in()
            with reading(self._front, self._token, keeps=True) as page:
                acts = self._acts(page)
                while not over.is_set():
                    kind, act = next(acts)
                    with self._timed(kind):
                        act()
                    self._pauses(page, over)
        except (*FAULTS, StopIteration) as error:
            self.told.failed.append(("the visit", type(error).__name__))
        finally:
            self._wire.close()

    def _acts(self, page: Reader) -> Iterator[tuple[str, Callable[[], object]]]:
        """What he does, in the order in which he does it, case after case."""
        while True:
            key = self._cases.pop(0) if self._cases else ""
            yield "opens the list", lambda: self._calm(page, page.asks(""))
            found = key or "0"
            yield (
                "searches in it",
                lambda found=found: self._calm(page, page.sets("Case key", string_value=found)),
            )
            if not key:  # he has read all of his
                continue
            sent: list[bytes] = []
            yield "opens a case", lambda sent=sent, key=key: sent.append(self._opens(page, key))
            studies = sorted({one.decode() for one in STUDY.findall(sent[0])}) if sent else []
            yield "begins to read", lambda: self._calm(page, page.presses("Begin"))
            for study in studies:
                kind, look = self._looks(study)
                yield kind, look
            yield "gives his opinion", lambda: self._gives(page)
            if page.shows("Accept"):
                yield "accepts", lambda: self._calm(page, page.presses("Accept"))
            if page.shows("Sign: "):
                yield "signs", lambda: self._calm(page, page.presses("Sign: "))

    def _looks(self, study: str) -> tuple[str, Callable[[], object]]:
        kind = study.split("/")[4]
        if kind == "ct":
            of = self._chance.choice([study, *self._large])
            return f"turns {RUN_OF_SLICES} slices of a CT", lambda: self._slices(of)
        if kind == "xray":
            return "looks at a radiograph", lambda: (self._gets(f"{study}/header"), self._gets(f"{study}/pixels"))
        return "turns a page of an EEG", lambda: self._eeg(study)

    def _slices(self, study: str) -> None:
        n = json.loads(self._gets(f"{study}/header"))["shape"][2]
        first = self._chance.randrange(max(1, n - RUN_OF_SLICES))
        self._gets(f"{study}/axial/{first}?count={min(RUN_OF_SLICES, n - first)}")

    def _eeg(self, study: str) -> None:
        told = json.loads(self._gets(study))
        span = min(int(EEG_PAGE_S * told["sfreq_hz"]), told["samples"])
        first = self._chance.randrange(max(1, told["samples"] - span))
        self._gets(f"{study}/page?start={first}&stop={first + span}")

    def _opens(self, page: Reader, key: str) -> bytes:
        return self._calm(page, page.triggers("clinic_mm_worklist", "open", key))

    def _gives(self, page: Reader) -> None:
        for label, value in OPINION.items():
            page.sets(label, run=False, string_value=value)
        self._calm(page, page.presses("Commit my opinion"))

    def _calm(self, page: Reader, sent: bytes) -> bytes:
        """The bytes of a page that shows no error; cases that it wants decoded ahead are noted."""
        if page.wrong:
            raise WrongError(page.wrong[0])
        for cases in AHEAD.findall(sent):
            for key in json.loads(b"[" + cases.replace(b"\\", b"") + b"]"):
                self._ahead.setdefault(key, False)
        return sent

    def _signs_in(self) -> None:
        typed = urlencode({"name": self._name, "password": PASSWORD, "to": "/"})
        status, _, headers = self._asks("POST", "/sign-in", typed, {"Content-Type": FORM})
        cookie = headers.get("Set-Cookie", "")
        if status != 303 or not cookie.startswith(f"{self._front.cookie_name}="):
            raise WrongError(str(status))
        self._token = cookie.split("=", 1)[1].split(";", 1)[0]

    def _comes_in(self) -> None:
        index = self._gets("/").decode()
        for asset in ASSET.findall(index):
            if f"/{asset}" not in self._kept:
                self._gets(f"/{asset}")

    def _pauses(self, page: Reader, over: Event) -> None:
        """Until his next action: studies are decoded ahead, the list runs by itself, the session is asked for."""
        until = time.monotonic() + self._chance.uniform(0.5, 1.5) * self._every_s
        with self._timed("", counted=False):
            self._gets("/session", {204})
            for key in [key for key, asked in self._ahead.items() if not asked]:
                self._ahead[key] = True
                self._gets(f"/v1/case/{key}/ahead")
        while not over.is_set() and (left := until - time.monotonic()) > 0:
            began = time.monotonic()
            with self._timed("", counted=False):
                took = page.waits(min(left, 1.0))
                self.told.took += [(BY_ITSELF, began, one) for one in took]

    def _gets(self, path: str, good: set[int] | None = None) -> bytes:
        status, body, headers = self._asks("GET", path, None, {"Accept": "text/html"})
        if status not in (good or {200, 202}):
            raise WrongError(str(status))
        if "immutable" in headers.get("Cache-Control", ""):
            self._kept.add(path)
        return body

    def _asks(
        self, method: str, path: str, body: str | None, more: dict[str, str]
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        headers = {"Host": self._host, "Origin": str(self._front), "Cookie": self._cookie(), **more}
        self._wire.request(method, path, body=body, headers=headers)
        answer = self._wire.getresponse()
        return answer.status, answer.read(), answer.headers

    def _cookie(self) -> str:
        return f"{self._front.cookie_name}={self._token}"

    @contextmanager
    def _timed(self, kind: str, *, counted: bool = True) -> Iterator[None]:
        """Note how long it took; what fails is noted, and the day goes on."""
        began = time.monotonic()
        try:
            yield
        except FAULTS as error:
            self.told.failed.append((kind or "by itself", f"{type(error).__name__} {error}"[:80]))
            if isinstance(error, http.client.HTTPException | OSError):
                self._wire.close()
            if isinstance(error, WebSocketException) or not self._token:
                raise
        else:
            if counted:
                self.told.took.append((kind, began, time.monotonic() - began))


class WrongError(Exception):
    """The answer was another than it should have been."""


FAULTS: Final[tuple[type[Exception], ...]] = (
    WrongError,
    LookupError,
    AssertionError,
    ValueError,
    OSError,
    http.client.HTTPException,
    WebSocketException,
)
