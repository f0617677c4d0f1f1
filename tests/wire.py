"""A reader's browser as far as the server sees it: the websocket of Streamlit, spoken by hand.

In:  the address of a served room, a token; what is pressed, chosen and typed, by its label. Out: what the page sends.

As the browser does, it sends back what every widget holds, runs a part of the page alone where the widget stands in
one, and runs by itself what the page asked to be run by the clock (`waits`). It draws nothing and fetches nothing.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect

from tests.serving import Address

WAIT_S = 120.0
ENDED = {0, 1}
ENDED_IN_PART = 3
"""Of ForwardMsg.ScriptFinishedStatus; 2 is a run that another one follows."""
EVENTS = "$$STREAMLIT_INTERNAL_KEY_{}__events"
"""Where a component of version 2 puts what it tells."""


class Reader:
    """One open page.

    Attributes:
        widgets: What can be pressed, chosen or typed into, by its id, with the part of the page that it stands in.
        wrong: What the last run showed as an error.
        clocks: Parts of the page that run by themselves, with their interval in seconds.
    """

    def __init__(self, socket: ClientConnection, *, keeps: bool = False) -> None:
        """Open a page; `keeps`: say which messages are here already, as a browser does, and are not sent again."""
        self.socket, self.widgets, self.clocks = socket, dict[str, tuple[Any, str]](), dict[str, float]()
        self.wrong: list[str] = []
        self._page, self._query, self._values = "", "", dict[str, WidgetState]()
        self._keeps, self._known, self._due = keeps, dict[str, ForwardMsg](), dict[str, float]()

    def asks(self, page: str = "", query: str = "") -> bytes:
        """Run a page and return everything that was sent for it.

        Args:
            page: Its address, without the slash; the home page where it is empty.
            query: After the question mark.
        """
        self._page, self._query = "", query
        return self._runs(name=page)

    def presses(self, label: str) -> bytes:
        """Press the button whose label begins so."""
        key, (_, part) = self._find(label, lambda one: hasattr(one, "is_form_submitter"))
        return self._runs(part, WidgetState(id=key, trigger_value=True))

    def sets(self, label: str, *, run: bool = True, **value: Any) -> bytes:  # noqa: ANN401 - a field of WidgetState
        """Put a value into a widget: `string_value="…"`; nothing runs for one that stands in a form (`run=False`)."""
        key, (_, part) = self._find(label, lambda one: not hasattr(one, "is_form_submitter"))
        self._values[key] = WidgetState(id=key, **value)
        return self._runs(part) if run else b""

    def triggers(self, component: str, event: str, value: object) -> bytes:
        """What the script of a component tells Python (`setTriggerValue`)."""
        key, (_, part) = self._find("", lambda one: getattr(one, "component_name", "").endswith(component))
        told = json.dumps([{"event": event, "value": value}])
        return self._runs(part, WidgetState(id=EVENTS.format(key), json_trigger_value=told))

    def shows(self, label: str) -> bool:
        """Whether there is a button or another widget whose label begins so."""
        return any(_label(one).startswith(label) for one, _ in self.widgets.values())

    def waits(self, seconds: float) -> list[float]:
        """Let time pass; how long each run by the clock took."""
        until, took = time.monotonic() + seconds, []
        while (now := time.monotonic()) < until:
            due = [(at, part) for part, at in self._due.items()]
            at, part = min(due, default=(until, ""))
            if at >= until:
                time.sleep(until - now)
                break
            time.sleep(max(0.0, at - now))
            began = time.monotonic()
            self._runs(part, by_clock=True)
            took.append(time.monotonic() - began)
            if part in self.clocks:
                self._due[part] = time.monotonic() + self.clocks[part]
        return took

    def _find(self, label: str, fits: Callable[[Any], Any]) -> tuple[str, tuple[Any, str]]:
        for key, found in self.widgets.items():
            if fits(found[0]) and _label(found[0]).startswith(label) and not getattr(found[0], "disabled", False):
                return key, found
        message = f"the page shows no {label!r}"
        raise LookupError(message)

    def _runs(self, part: str = "", *more: WidgetState, name: str = "", by_clock: bool = False) -> bytes:
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.page_script_hash, asked.page_name = self._query, self._page, name
        asked.fragment_id, asked.is_auto_rerun = part, by_clock
        held = {**self._values, **{one.id: one for one in more}}
        asked.widget_states.widgets.extend(one for one in more if one.id not in self.widgets)
        asked.widget_states.widgets.extend(one for key, one in held.items() if key in self.widgets)
        asked.cached_message_hashes.extend(self._known)
        self.socket.send(message.SerializeToString())
        self.wrong = []
        sent, until = [], time.monotonic() + WAIT_S
        while time.monotonic() < until:
            frame = self.socket.recv(timeout=WAIT_S)
            assert isinstance(frame, bytes)
            sent.append(frame)
            if self._takes(ForwardMsg.FromString(frame)):
                return b"".join(sent)
        message_text = f"the page did not finish within {WAIT_S} s"
        raise AssertionError(message_text)

    def _takes(self, found: ForwardMsg) -> bool:
        """Keep what a message says; whether the run has ended."""
        kind = found.WhichOneof("type")
        if kind == "ref_hash":
            place, found = found.metadata, self._known[found.ref_hash]
            found.metadata.CopyFrom(place)
            kind = found.WhichOneof("type")
        elif self._keeps and found.metadata.cacheable and found.hash:
            self._known[found.hash] = found
        if kind == "new_session":
            self._begins(found.new_session.page_script_hash, set(found.metadata.run.fragment_ids))
        elif kind == "navigation":
            self._page = found.navigation.page_script_hash
        elif kind == "delta":
            self._draws(found.delta)
        elif kind == "page_info_changed":
            self._query = found.page_info_changed.query_string
        elif kind == "auto_rerun":
            self.clocks[found.auto_rerun.fragment_id] = found.auto_rerun.interval
            self._due[found.auto_rerun.fragment_id] = time.monotonic() + found.auto_rerun.interval
        elif kind == "script_finished":
            return found.script_finished in {*ENDED, ENDED_IN_PART}
        return False

    def _begins(self, page: str, parts: set[str]) -> None:
        """A run begins: of the whole page, or of these parts of it."""
        self._page = page
        if not parts:
            self.clocks, self._due = {}, {}
        self.widgets = {key: found for key, found in self.widgets.items() if parts and found[1] not in parts}

    def _draws(self, delta: Any) -> None:  # noqa: ANN401 - a message without a stub
        if delta.WhichOneof("type") != "new_element":
            return
        kind = delta.new_element.WhichOneof("type")
        one = getattr(delta.new_element, kind) if kind else None
        if kind == "exception":
            self.wrong.append(one.type)
        elif kind == "alert" and one.format == one.ERROR:
            self.wrong.append(one.body)
        elif getattr(one, "id", ""):
            self.widgets[one.id] = (one, delta.fragment_id)


def _label(widget: Any) -> str:  # noqa: ANN401 - any element
    """As it is read: without the marks that keep text from being Markdown."""
    return str(getattr(widget, "label", "")).replace("\\", "")


@contextmanager
def reading(address: Address, token: str, *, keeps: bool = False) -> Iterator[Reader]:
    """Open a page as the person of a token."""
    with connect(
        address.replace("http://", "ws://") + "/_stcore/stream",
        origin=address,  # type: ignore[arg-type]
        additional_headers={"Cookie": f"{address.cookie_name}={token}"},
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
        open_timeout=WAIT_S,
    ) as socket:
        yield Reader(socket, keeps=keeps)
