"""What was sent to whom: media addresses and Streamlit sessions, as they go out over a person's own websocket.

In:  the frames of a websocket. Out: whether an address or a session id is this session's own.

An address of media is the hash of its content, and Streamlit serves it to whoever knows it; here it is served only to
those to whom a page of theirs showed it. Kept in the memory of this process, like the media themselves.
"""

import re
from collections import OrderedDict
from threading import Lock
from typing import Final

from google.protobuf.message import DecodeError
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

MEDIA: Final = re.compile(rb"/media/([0-9a-f]{32,64})")
LENGTHS: Final = (32, 40, 56, 64)
"""Of hashes in hexadecimal: what follows in the frame may look like more of it."""
MOST_SESSIONS, MOST_MEDIA, MOST_IDS = 2_000, 5_000, 64


class Belongings:
    """By session of ours: what its pages were sent."""

    def __init__(self) -> None:
        self._media: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._ids: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._lock = Lock()

    def note(self, session: str, frame: bytes) -> None:
        """Keep what a frame on its way to the browser names."""
        found = MEDIA.findall(frame)
        if found:
            with self._lock:
                for name in {run[:length].decode() for run in found for length in LENGTHS if length <= len(run)}:
                    _add(self._media, session, name, MOST_MEDIA)

    def note_id(self, session: str, frame: bytes) -> bool:
        """Keep the id of the Streamlit session, which the first frames name; whether it was there."""
        try:
            message = ForwardMsg.FromString(frame)
        except DecodeError:
            return False
        name = message.new_session.initialize.session_id
        if name:
            with self._lock:
                _add(self._ids, session, name, MOST_IDS)
        return bool(name)

    def owns_media(self, session: str, name: str) -> bool:
        """Whether a page of this session was sent this address of media, whatever ending it is asked for with."""
        return name.split(".", 1)[0] in self._media.get(session, {})

    def owns_id(self, session: str, name: str) -> bool:
        """Whether this Streamlit session is one of this session's."""
        return name in self._ids.get(session, {})

    def forget(self, session: str) -> None:
        """The session is over."""
        with self._lock:
            self._media.pop(session, None)
            self._ids.pop(session, None)


def _add(into: "OrderedDict[str, OrderedDict[str, None]]", session: str, name: str, most: int) -> None:
    """Remember the newest, and forget the oldest beyond the bound."""
    held = into.setdefault(session, OrderedDict())
    into.move_to_end(session)
    held[name] = None
    held.move_to_end(name)
    while len(held) > most:
        held.popitem(last=False)
    while len(into) > MOST_SESSIONS:
        into.popitem(last=False)


belongings: Final = Belongings()
