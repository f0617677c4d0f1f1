"""A reader's browser as far as the server sees it: the websocket of Streamlit, spoken by hand.

In:  the address of a served room, a token. Out: what a page sends, as bytes.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from tests.serving import Address

WAIT_S = 120.0


class Reader:
    """One open page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def asks(self, page: str = "", query: str = "") -> bytes:
        """Run a page and return everything that was sent for it.

        Args:
            page: Its address, without the slash; the home page where it is empty.
            query: After the question mark.
        """
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.query_string = query
        self.socket.send(message.SerializeToString())
        sent, until = [], time.monotonic() + WAIT_S
        while time.monotonic() < until:
            frame = self.socket.recv(timeout=WAIT_S)
            assert isinstance(frame, bytes)
            sent.append(frame)
            found = ForwardMsg.FromString(frame)
            if found.WhichOneof("type") == "script_finished" and found.script_finished in {0, 1}:
                return b"".join(sent)
        message_text = f"the page did not finish within {WAIT_S} s"
        raise AssertionError(message_text)


@contextmanager
def reading(address: Address, token: str) -> Iterator[Reader]:
    """Open a page as the person of a token."""
    with connect(
        address.replace("http://", "ws://") + "/_stcore/stream",
        origin=address,  # type: ignore[arg-type]
        additional_headers={"Cookie": f"{address.cookie_name}={token}"},
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
        open_timeout=WAIT_S,
    ) as socket:
        yield Reader(socket)
