"""Take what a screening finishes into the store while the room is open, and leave word of when that last went well.

In:  a run that may go on, the store of the room, its home folder. Out: new answers in the store, hidden from the first
moment on where monitoring hides them; HOME/taken_in.json, which the page of operators reads.

What goes wrong ends nobody's reading: it is told, and tried again at the next look. While the state of monitoring
cannot be read nothing is taken in, since nobody knows then what is to be hidden.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, ValidationError

from clinic_mm.errors import ClinicError
from clinic_mm.evaluate.monitor.state import FILE as MONITOR
from clinic_mm.evaluate.monitor.state import MonitorState, read_state, state_of_run
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.driven import is_driven
from clinic_mm.report.live import changed_at
from clinic_mm.report.run import open_run
from clinic_mm.store.store import Store
from clinic_mm.types import Frozen

FILE: Final = "taken_in.json"
EVERY_S: Final = 20.0


class Looked(Frozen):
    """The last look: when, and what went wrong with what to do, "" where nothing did."""

    at: AwareDatetime
    what: str = ""
    mend: str = ""


@dataclass(slots=True)
class TakingIn:
    """Looks at one run again and again.

    Attributes:
        run: Folder of the run.
        home: Of the room.
        store: Of the room.
        monitor: State that is named besides that of the run's folder.
        say: Told once of what goes wrong.
    """

    run: Path
    home: Path
    store: Store
    monitor: Path | None = None
    say: Callable[[str], None] = lambda _: None
    _last: float = float("-inf")
    _seen: tuple[int, ...] = ()
    _said: str = ""

    def look_now_and_then(self) -> None:
        """Look, if the last look is long enough ago."""
        if time.monotonic() - self._last >= EVERY_S:
            self.look()

    def look(self) -> None:
        """Take in what is new, and hide what is to be hidden; whatever fails is told and left for the next look."""
        try:
            self.take()
            looked = Looked(at=datetime.now(UTC))
        except ClinicError as error:
            looked = Looked(at=datetime.now(UTC), what=error.what, mend=error.mend)
        except OSError as error:
            mend = "See whether the disks of run and room are there and have room"
            looked = Looked(at=datetime.now(UTC), what=f"Run or room cannot be read: {error.strerror}", mend=mend)
        self._leave_word(looked)
        self._last = time.monotonic()

    def take(self) -> None:
        """Take in what is new, and hide what is to be hidden, where anything changed since the last time.

        Raises:
            ClinicError: If run, state or store cannot be read, or the store holds cases of another question.
        """
        seen = stamp(self.run, self.monitor)
        if seen == self._seen:
            return
        model = open_run(self.run).info.model.hash
        states = [read_state(self.monitor, model)] if self.monitor else []
        own = state_of_run(self.run, model)
        self.store.import_run(self.run, hides=_hides([*states, *([own] if own else [])]))
        self._seen = seen

    def _leave_word(self, looked: Looked) -> None:
        if looked.what != self._said:
            self._said = looked.what
            self.say(f"Answers are not taken in: {looked.what}. {looked.mend}" if looked.what else "Taken in again")
        try:
            written_whole(self.home / FILE, looked.model_dump_json().encode())
        except OSError:  # then the page sees that nobody looked for long
            return


def last_look(home: Path) -> Looked | None:
    """The last look, None where nobody looked yet or what was left cannot be read."""
    try:
        return Looked.model_validate_json((home / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def stamp(run: Path, monitor: Path | None = None) -> tuple[int, ...]:
    """Numbers that change whenever there may be something to take in, or something else to hide."""
    shards = run / "shards"
    named = [] if monitor is None else [monitor, monitor / MONITOR]
    watched = [run / "run.json", run / MONITOR, shards, *sorted(shards.glob("day=*")), *named]
    return (changed_at(run), int(is_driven(run)), *(path.stat().st_mtime_ns for path in watched if path.exists()))


def _hides(states: list[MonitorState]) -> Callable[[tuple[str, ...]], str]:
    def hides(pattern: tuple[str, ...]) -> str:
        return next((why for state in states if (why := state.withheld(pattern))), "")

    return hides
