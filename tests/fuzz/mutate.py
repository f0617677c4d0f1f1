"""Damage bytes as disks, networks, converters and attackers do. Seeded: the same generator gives the same damage.

In:  the bytes of a file, a random generator, and the part that may be damaged.
Out: the name of what was done, and other bytes. Nothing here knows a format.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

Region = tuple[int, int]
Mutation = Callable[[np.random.Generator, bytes, int, int], bytes]
MOST_BYTES: Final = 64
"""The longest run that is removed, put in or written over; blocks that move are up to 64 times that."""
TELLING: Final = (
    b"\0",
    b"\xff",
    b"\0\0\0\0",
    b"\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\\",
    b" ",
    b"-1",
)


def mutate(rng: np.random.Generator, data: bytes, region: Region | None = None) -> tuple[str, bytes]:
    """One kind of damage, done one to three times.

    Args:
        rng: Where all choices come from.
        data: The bytes.
        region: First byte that may be damaged, and the one after the last; all of them where None.
    """
    low, high = region or (0, len(data))
    name = str(rng.choice(list(MUTATIONS)))
    for _ in range(rng.integers(1, 4)):
        low, high = min(low, len(data)), min(high, len(data))
        if high <= low:
            break
        data = MUTATIONS[name](rng, data, low, high)
    return name, data


def flip_bit(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    at = int(rng.integers(low, high))
    return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]


def set_byte(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    at = int(rng.integers(low, high))
    return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]


def write_telling(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    """Values that mean something to parsers: nothing, everything, the largest integer, a separator."""
    at, what = int(rng.integers(low, high)), TELLING[int(rng.integers(len(TELLING)))]
    return data[:at] + what + data[at + len(what) :]


def delete(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    at = int(rng.integers(low, high))
    return data[:at] + data[min(high, at + int(rng.integers(1, MOST_BYTES))) :]


def insert(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    at = int(rng.integers(low, high))
    return data[:at] + rng.bytes(int(rng.integers(1, MOST_BYTES))) + data[at:]


def overwrite(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    at = int(rng.integers(low, high))
    run = min(int(rng.integers(2, MOST_BYTES)), high - at)
    return data[:at] + rng.bytes(run) + data[at + run :]


def truncate(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    return data[: int(rng.integers(low, high))]


def repeat(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    start, end = _block(rng, low, high)
    return data[:end] + data[start:end] + data[end:]


def swap(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    """Two neighbouring blocks change places."""
    start, end = _block(rng, low, high)
    middle = (start + end) // 2
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def blank(rng: np.random.Generator, data: bytes, low: int, high: int) -> bytes:
    """A block becomes zeros, as a lost disk sector does."""
    start, end = _block(rng, low, high)
    return data[:start] + bytes(end - start) + data[end:]


def _block(rng: np.random.Generator, low: int, high: int) -> Region:
    start = int(rng.integers(low, high))
    return start, min(high, start + int(rng.integers(2, 64 * MOST_BYTES)))


MUTATIONS: Final[dict[str, Mutation]] = {
    "bit flipped": flip_bit,
    "byte set": set_byte,
    "telling bytes": write_telling,
    "bytes removed": delete,
    "bytes put in": insert,
    "bytes overwritten": overwrite,
    "cut off": truncate,
    "block repeated": repeat,
    "blocks swapped": swap,
    "block blanked": blank,
}
