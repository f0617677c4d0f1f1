"""Wrong passwords are counted by address, and an address that gave too many has to wait.

In:  an address, the time. Out: how long to wait, in seconds. Addresses are kept as hashes, in this process's memory.

By name the store counts (`store.users`), for all processes: this here is against one who tries many names.
"""

import time
from collections import OrderedDict, deque
from hashlib import sha256
from threading import Lock
from typing import Final

MOST: Final = 20_000
"""Addresses that are remembered."""


class Tries:
    """Wrong tries within a window.

    Args:
        most: Wrong tries from one address before it has to wait.
        window_s: How long each is remembered.
    """

    def __init__(self, most: int, window_s: float) -> None:
        self.most, self.window_s = most, window_s
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, address: str, at: float | None = None) -> float:
        """Seconds until another try is allowed; 0 for now."""
        at = time.monotonic() if at is None else at
        with self._lock:
            times = self._wrong.get(_hash(address), deque())
            while times and at - times[0] >= self.window_s:
                times.popleft()
            return self.window_s - (at - times[0]) if len(times) >= self.most else 0.0

    def wrong(self, address: str, at: float | None = None) -> None:
        """Count a wrong one."""
        at, key = time.monotonic() if at is None else at, _hash(address)
        with self._lock:
            self._wrong.setdefault(key, deque(maxlen=self.most)).append(at)
            self._wrong.move_to_end(key)
            while len(self._wrong) > MOST:
                self._wrong.popitem(last=False)


def _hash(address: str) -> str:
    return sha256(address.encode()).hexdigest()[:32]
