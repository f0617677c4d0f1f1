"""An EDF or BDF recording with tokens in every text field of its header and in its annotations."""

import random
import struct

from tests.deid.tokens import Tokens

SIGNALS = 3


def edf_file(tokens: Tokens, rng: random.Random) -> tuple[str, bytes]:
    """Two records of three signals and annotations."""
    bdf, plus = rng.random() < 0.4, rng.random() < 0.6
    width, kind = (3, "BDF") if bdf else (2, "EDF")
    text = [tokens.word().encode() + b"\x14" + tokens.word().encode() + b"\x14"]
    texts = [b"\x14", rng.choice((b"spike ", b"")) + text[0]]
    block = b"+0\x14" + texts[0] + b"\0" + b"+0.5\x150.2\x14" + texts[1] + b"\0" + tokens.word().encode()
    samples = (len(block) + width) // width
    n = SIGNALS + 1
    who = f"{tokens.word()} F 01-JAN-1970 {tokens.word()}" if plus else f"{tokens.word()} {tokens.word()}"
    where = f"Startdate 01-JAN-2020 {tokens.word()} {tokens.word()} {tokens.word()}" if plus else f"{tokens.word()}"
    head = (b"\xffBIOSEMI" if bdf else b"0".ljust(8)) + _cell(who, 80) + _cell(where, 80) + b"01.01.2010.11.12"
    head += (
        _cell(str(256 * (n + 1)), 8)
        + _cell(f"{kind}+C" if plus else tokens.word(), 44)
        + _cell("2", 8)
        + _cell("1", 8)
        + _cell(str(n), 4)
    )
    labels = [rng.choice(("Cz", "", "EEG ")) for _ in range(SIGNALS)]
    labels = [one if one == "Cz" else one + tokens.word() for one in labels]
    columns = [
        ([*labels, f"{kind} Annotations"], 16),
        ([tokens.word() for _ in range(n)], 80),
        ([*(rng.choice(("uV", "Zqxjane")) for _ in range(SIGNALS)), ""], 8),
        (["-100"] * n, 8),
        (["100"] * n, 8),
        (["-32768"] * n, 8),
        (["32767"] * n, 8),
        ([f"HP:0.1Hz {tokens.word()}" for _ in range(n)], 80),
        (["8"] * SIGNALS + [str(samples)], 8),
        ([tokens.word() for _ in range(n)], 32),
    ]
    head += b"".join(_cell(value, size) for values, size in columns for value in values)
    signal = b"".join(struct.pack("<h", rng.randint(-99, 99)).ljust(width, b"\0") for _ in range(8 * SIGNALS))
    record = signal + block.ljust(samples * width, b"\0")
    return f"{tokens.word()}.{kind.lower()}", head + record * 2


def _cell(text: str, size: int) -> bytes:
    return text.encode("latin-1")[:size].ljust(size)
