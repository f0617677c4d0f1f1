"""CT of another body part than was learnt: simulated chests, phantoms of heads and bellies, and real series.

In:  nothing; the folder of the data sets. Out: rows of figures, words on the real series. Used by `benchmarks.outside`.
"""

from pathlib import Path

import numpy as np
from numpy import ndarray as Array

from benchmarks import foreign
from benchmarks.outside_guarded import HELD, SEED, TRAIN, Row, count, guarded, planned, simulated
from clinic_mm.errors import EvidenceError
from clinic_mm.signals import CtVolume
from clinic_mm.simulate import ct as sim_ct
from clinic_mm.sources.ct.volume import load as load_ct


def simulated_ct() -> list[Row]:
    """Chests against heads and bellies, and the reverse; then real heads and chests against simulated chests."""
    chests = [_volume(simulated(sim_ct.render, k)) for k in range(TRAIN // 2 + HELD // 2)]
    heads = list(foreign.many(foreign.head, TRAIN // 2 + HELD // 2, SEED))
    bellies = list(foreign.many(foreign.belly, HELD // 2, SEED))
    prep = planned("ct")
    half = TRAIN // 2
    chest, head = guarded(prep, chests[:half]), guarded(prep, heads[:half])
    return [
        ("good chest CT: false alarm", "simulated", *count(chest.caught(chests[half:]))),
        ("good head CT: false alarm", "phantoms", *count(head.caught(heads[half:]))),
        ("a head CT where chests were learnt", "simulated", *count(chest.caught(heads[half:]))),
        ("an abdomen CT where chests were learnt", "simulated", *count(chest.caught(bellies))),
        ("a chest CT where heads were learnt", "phantoms", *count(head.caught(chests[half:]))),
    ]


def real_ct(data: Path) -> list[str]:
    """What simulated chests make of real series: too few real chests stand there to learn from."""
    chests = [_volume(simulated(sim_ct.render, k)) for k in range(TRAIN // 2)]
    train = guarded(planned("ct"), chests)
    folders = {"head": "head_ge_hispeed", "chest": "nsclc_LUNG1-001/image", "abdomen": "crlm_CRLM-CT-1004"}
    told = []
    for name, folder in folders.items():
        try:
            volume: CtVolume | None = load_ct(sorted((data / "ct" / folder).glob("*.dcm")))
        except EvidenceError as error:
            told.append(f"{name}: refused when read (`{error.code}`)")
            continue
        told.append(f"{name}: {'rejected' if train.caught([volume])[0] else '**answered**'}")
    return [f"Real series against simulated chests (a real chest is foreign there, too): {'; '.join(told)}."]


def _volume(hu: Array) -> CtVolume:
    """Slices from feet to head, rows to posterior, columns to left: to Right, Anterior, Superior."""
    z, y, x = sim_ct.SPACING_MM
    return CtVolume(np.ascontiguousarray(hu.transpose(2, 1, 0)[::-1, ::-1]).astype(np.float32), (x, y, z))
