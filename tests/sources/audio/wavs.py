"""WAV files by hand: every form, and every way to be broken."""

import struct
from pathlib import Path

import numpy as np

RATE = 4000


def tone(seconds: float = 1.0, hz: float = 110.0, height: float = 0.5, rate: int = RATE) -> np.ndarray:
    """A sine that hits no rail."""
    return height * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate + 0.3)


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if length is None else length) + content + b"\0" * (len(content) % 2)


def form(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, block: int | None = None) -> bytes:
    size = channels * bits // 8 if block is None else block
    return struct.pack("<HHIIHH", tag, channels, rate, rate * size, size, bits)


def pcm16(*channels: np.ndarray) -> bytes:
    return np.rint(np.stack(channels, axis=1) * 32767).astype("<i2").tobytes()


def wav(path: Path, *chunks: bytes, head: bytes = b"RIFF", kind: bytes = b"WAVE") -> Path:
    body = kind + b"".join(chunks)
    path.write_bytes(head + struct.pack("<I", len(body)) + body)
    return path


def simple(path: Path, *channels: np.ndarray, rate: int = RATE) -> Path:
    return wav(path, chunk(b"fmt ", form(channels=len(channels), rate=rate)), chunk(b"data", pcm16(*channels)))
