"""Stop a run when it is asked to: at once where nothing is lost by it, else after the units that are worked on.

In:  signals. Out: `Stop`, which whoever works looks at, and `Stopped`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from clinic_mm.jobs.ledger import Ledger

STEPS: Final = 100_000
"""Of SQLite's machine, between two looks whether to stop: milliseconds."""


class Stopped(BaseException):
    """Raised by a request to stop wherever nothing is lost by stopping at once; no error, as KeyboardInterrupt."""


@dataclass(slots=True)
class Stop:
    """A request to stop, by Ctrl-C or by the service manager.

    Attributes:
        signal: Its number; 0 until there is one.
        at_once: Whether it ends what is being done; else it is asked for, and units that are worked on may end.
    """

    signal: int = 0
    at_once: bool = True

    def ask(self, number: int, frame: FrameType | None) -> None:
        """What the signal handler does: the first time ask, the second time insist."""
        del frame
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number
        self.look()

    def look(self) -> None:
        """Stop, where that was asked for: a library may have swallowed what `ask` raised inside of it."""
        if self.signal and self.at_once:
            raise Stopped

    @contextmanager
    def within(self, ledger: Ledger) -> Iterator[None]:
        """Let it end long statements too: of a million cases one takes seconds, and SQLite hears of no signal."""
        ledger.db.set_progress_handler(lambda: self.signal, STEPS)
        try:
            self.look()
            yield
            self.look()
        finally:
            ledger.db.set_progress_handler(None, STEPS)


@contextmanager
def listening(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM ask to stop, as long as this lasts; outside of the main thread nobody listens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
