"""X-rays, CT volumes and signals that are copies of each other under two patients, also after recoding and cropping.

In:  prepared cases (what a model would see). Out: pairs of rows, and leaks.

A picture becomes its fine structure: pooled to 32 squares a side, what varies slowly taken away, so that two chests are
unlike each other and a copy stays like itself through another contrast, compression, or a cut of a few pixels. A
volume becomes the same in space; a signal becomes how strong each channel is from half second to half second, about
its own mean, so that a copy is found and a patient with the same average is not. Anything else is compared by its
plain summaries. A trimmed or mirrored copy, one cut by more than about 2 %, or an altered CT is not found.

People of one scanner and position look alike, so nearness alone proves nothing: a pair is a copy where it is much
nearer than either is to a fifth patient (after Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94, §7.1), or the very
same.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray as Array
from scipy import ndimage

from clinic_mm.evaluate.leaks.findings import SHOWN, Found, Leak, Looked, Pair
from clinic_mm.evaluate.leaks.near import Pairs, near_pairs
from clinic_mm.prep.batch import PreparedCases, Recipe

Detail = Callable[[Array], Array]
"""Row numbers → one vector each."""
SIDE: Final = 32
VOLUME_SIDE: Final = 16
SMOOTH: Final = 2.0
"""Pooled pixels; what varies more slowly is taken away."""
JUDGED: Final = frozenset({"xray", "eeg"})
"""Kinds whose altered copies were seen to lie apart from what two people have in common; of others only the same is."""
STEPS: Final = 8
"""Pieces of each window of a signal: half seconds of a 4 s window of EEG."""
ALIKE: Final = 0.90
COPY_FROM: Final = 0.93
"""Least correlation of the fine structure, about the cohort's mean. On 47 chest X-rays of 47 people the greatest
between two people was 0.54, the least between an image and its copy (cropped by 2 %, resized, JPEG quality 60, less
contrast) 0.94; SIMULATED X-rays, all of one build, reach 0.97."""
COPY: Final = 0.25
LOOK: Final = 0.4
"""Distance (1 - correlation) of a pair, as a share of that to the fifth nearest patient."""
DETAIL_COPY: Final = 0.45
DETAIL_LOOK: Final = 0.6
"""The same share for the finest structure of a picture: in it, the copies above had 0.28 to 0.57."""
DETAIL_SMOOTH: Final = 2.0
DETAILED: Final = 400
SAME_VOLUME: Final = 0.998
SAME: Final = 0.9995
"""The same, whatever lies near."""
NEAREST: Final = 5
SAMPLE: Final = 4000
"""Others among whom the fifth nearest is looked for."""
PLAIN_ERROR: Final = 0.99999
EQUAL: Final = 1e-3
"""Distance of two prepared pieces of evidence, as a share of that to the cohort's mean."""
ROWS_ARE_COMPARED_ELSEWHERE: Final = frozenset({"record", "note"})
MEND: Final = "Give both keys the same patient, or leave one out, and ingest again"


def fingerprints(x: Float[Array, "n ..."], plain: Float[Array, "n p"], kind: str) -> Float[Array, "n d"]:
    """One vector per prepared piece of evidence, in which copies stay near and people lie apart."""
    made = KINDS.get(kind)
    return made(x) if made else _standardised(plain)


def copies(prepared: PreparedCases, recipe: Recipe) -> Found:
    """Copies under two patients, over every modality that is prepared as an array."""
    leaks, looked, shared = [], [], {}
    for column, (name, prep) in enumerate(recipe.preps.items()):
        if prep.kind in ROWS_ARE_COMPARED_ELSEWHERE:
            continue
        rows = np.flatnonzero(prepared.present[:, column])
        pairs, sure = copied(prepared, name, prep.kind, rows)
        looked.append(Looked(check=f"copies of {name}", of=len(rows), found=int(sure.sum()), how=_how(prep.kind)))
        shared[name] = _patients(prepared, pairs, sure)
        for severity, chosen in (("error", sure), ("finding", ~sure)):
            if chosen.any():
                leaks.append(_leak(prepared, name, severity, pairs, chosen))
    return Found(tuple(leaks), tuple(looked), shared)


def _patients(prepared: PreparedCases, pairs: Pairs, chosen: Array) -> frozenset[Pair]:
    both = zip(pairs.first[chosen], pairs.second[chosen], strict=True)
    keys = [sorted((prepared.cases[a].patient_key, prepared.cases[b].patient_key)) for a, b in both]
    return frozenset((first, second) for first, second in keys)


def copied(prepared: PreparedCases, name: str, kind: str, rows: Array) -> tuple[Pairs, Bool[Array, " k"]]:
    """Pairs of cases of two patients that look like copies in one modality, and which of them surely are."""
    x = prepared.x[name][prepared.row[name][rows]]
    vectors, owners = fingerprints(x, prepared.plain[name][rows], kind), prepared.patients[rows]
    if kind in KINDS:
        detail = (lambda some: _detail(x[some])) if kind == "xray" else None
        pairs, sure = near_copies(vectors, owners, detail) if kind in JUDGED else the_same(vectors, owners)
    else:
        pairs = near_pairs(vectors, owners, at_least=PLAIN_ERROR)
        sure = _equal(x, pairs)
        pairs, sure = Pairs(pairs.first[sure], pairs.second[sure], pairs.cosine[sure]), sure[sure]
    return Pairs(rows[pairs.first], rows[pairs.second], pairs.cosine), sure


def _equal(x: Float[Array, "n ..."], pairs: Pairs) -> Bool[Array, " k"]:
    """Whether what a network would see is the same too: a few plain numbers of two people agree by chance."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    first, second = flat[pairs.first], flat[pairs.second]
    apart = np.linalg.norm(np.nan_to_num(first - second), axis=1)
    spread = np.linalg.norm(np.nan_to_num(first - np.nan_to_num(flat).mean(axis=0)), axis=1)
    return np.asarray(apart <= EQUAL * spread + 1e-12)


def near_copies(
    vectors: Float[Array, "n d"], owners: Array, detail: Detail | None = None
) -> tuple[Pairs, Bool[Array, " k"]]:
    """Pairs of two owners that are much nearer than others are, and which of them surely are copies.

    Args:
        vectors: Fingerprints.
        owners: Whose each is.
        detail: The finest structure of some of them: what is near as a whole must be near in it too. None for none.
    """
    none = np.zeros(0, dtype=bool)
    if len(vectors) == 0:
        return Pairs(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)), none
    unit = _unit(vectors - vectors.mean(axis=0, keepdims=True)).astype(np.float32)
    pairs = near_pairs(unit, owners, at_least=ALIKE)
    share = _nearer(pairs, owners, lambda rows: unit[rows], SAMPLE)
    same = pairs.cosine >= SAME
    kept = same | (share <= LOOK)
    pairs, share, same = _only(pairs, kept), share[kept], same[kept]
    fine = share if detail is None else _nearer(pairs, owners, detail, DETAILED)
    kept = same | (detail is None) | (fine <= DETAIL_LOOK)
    near = (share <= COPY) & (pairs.cosine >= COPY_FROM)
    sure = same | (near & ((detail is None) | (fine <= DETAIL_COPY)))
    return _only(pairs, kept), sure[kept]


def the_same(vectors: Float[Array, "n d"], owners: Array) -> tuple[Pairs, Bool[Array, " k"]]:
    """Pairs that are the same but for lossy storage.

    Volumes of two people of one build are as near as altered copies: SIMULATED CT reaches 0.98, at every fineness.
    """
    middle = vectors.mean(axis=0, keepdims=True) if len(vectors) else 0.0
    pairs = near_pairs(vectors - middle, owners, at_least=SAME_VOLUME)
    return pairs, np.ones(len(pairs), dtype=bool)


def _only(pairs: Pairs, kept: Bool[Array, " k"]) -> Pairs:
    return Pairs(pairs.first[kept], pairs.second[kept], pairs.cosine[kept])


def _nearer(pairs: Pairs, owners: Array, detail: Detail, most: int) -> Float[Array, " k"]:
    """Distance of each pair (1 - correlation about the mean of a sample), as a share of that to the fifth nearest."""
    asked = np.union1d(pairs.first, pairs.second)
    some = np.random.default_rng(0).permutation(len(owners))[:most]
    if len(asked) == 0 or len(some) <= NEAREST:
        return np.zeros(len(pairs))
    sample = detail(some)
    middle = sample.mean(axis=0, keepdims=True)
    reference, mine = _unit(sample - middle), _unit(detail(asked) - middle)
    _, owner = np.unique(owners, return_inverse=True)
    near = mine @ reference.T
    near[owner[asked][:, None] == owner[some][None]] = -1.0
    fifth = -np.partition(-near, NEAREST - 1, axis=1)[:, NEAREST - 1]
    first, second = np.searchsorted(asked, pairs.first), np.searchsorted(asked, pairs.second)
    cosine = np.einsum("kd,kd->k", mine[first], mine[second])
    share: Array = (1.0 - cosine) / np.maximum(1.0 - np.maximum(fifth[first], fifth[second]), 1e-9)
    return share


def _unit(vectors: Float[Array, "n d"]) -> Float[Array, "n d"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Array = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return unit


def _leak(prepared: PreparedCases, name: str, severity: str, pairs: Pairs, chosen: Array) -> Leak:
    both = np.unique(np.concatenate([pairs.first[chosen], pairs.second[chosen]]))
    n = int(chosen.sum())
    least, most = pairs.cosine[chosen].min(), min(float(pairs.cosine[chosen].max()), 1.0)
    told = f"{n} pair{'s' * (n > 1)} of {name} under two patients {'are' if n > 1 else 'is'}"
    sure = "the same recording" if severity == "error" else "much alike: look at them"
    return Leak(
        code="duplicate.same_recording" if severity == "error" else "duplicate.alike",
        severity="error" if severity == "error" else "finding",
        modality=name,
        what=f"{told} {sure} (correlation {least:.3f} to {most:.3f})",
        mend=MEND,
        n=n,
        cases=tuple(prepared.cases[i].case_key for i in both[:SHOWN]),
    )


def _how(kind: str) -> str:
    if kind in KINDS and kind not in JUDGED:
        return f"fine structure, correlation ≥ {SAME_VOLUME:g}"
    if kind in JUDGED:
        return f"fine structure: correlation ≥ {COPY_FROM:g}, and {1 / COPY:g} times nearer than a fifth patient"
    return f"plain summaries, correlation ≥ {PLAIN_ERROR:g} is a copy"


def _image(x: Float[Array, "n 1 h w"]) -> Float[Array, "n d"]:
    return _fine([_pooled(one[0].astype(np.float32), SIDE) for one in x])


def _volume(x: Float[Array, "n 1 x y z"]) -> Float[Array, "n d"]:
    return _fine([_pooled(one[0].astype(np.float32), VOLUME_SIDE) for one in x])


def _pooled(x: Float[Array, "*s"], side: int) -> Float[Array, "*p"]:
    """Means of equal blocks; what a side has beyond a whole number of blocks is left out."""
    for axis in range(x.ndim):
        block = max(x.shape[axis] // side, 1)
        whole = x.shape[axis] // block * block
        kept = np.moveaxis(x, axis, 0)[:whole]
        x = np.moveaxis(kept.reshape(-1, block, *kept.shape[1:]).mean(axis=1), 0, axis)
    return x


def _detail(x: Float[Array, "n 1 *s"]) -> Float[Array, "n d"]:
    """Pictures without what varies over more than a few of their points, unpooled."""
    made = []
    for one in x:
        whole = one[0].astype(np.float32)
        left = (whole - ndimage.gaussian_filter(whole, DETAIL_SMOOTH)).ravel()
        made.append(left - left.mean())
    return np.stack(made)


def _fine(pictures: Sequence[Float[Array, "*s"]]) -> Float[Array, "n d"]:
    if not pictures:
        return np.zeros((0, 1))
    pooled = np.stack(pictures)
    slow = ndimage.gaussian_filter(pooled, (0, *(SMOOTH for _ in pooled.shape[1:])))
    flat = (pooled - slow).reshape(len(pooled), -1)
    centred: Array = flat - flat.mean(axis=1, keepdims=True)
    return centred


def _envelope(x: Float[Array, "n ... t"]) -> Float[Array, "n d"]:
    """Log strength of each channel over time, about the channel's own mean; what is missing counts as the mean."""
    steps = min(STEPS, x.shape[-1])
    cut = x[..., : x.shape[-1] // steps * steps].astype(np.float32)
    pieces = cut.reshape(*x.shape[:-1], steps, -1)
    strength = np.log(np.square(pieces).mean(axis=-1) + 1e-8)  # n, window, channel, step
    over = np.moveaxis(strength, 1, -2)  # n, channel, window, step
    flat = over.reshape(len(x), over.shape[1], -1) if over.ndim == 4 else over.reshape(len(x), 1, -1)
    known = np.isfinite(flat)
    mean = np.divide(
        np.where(known, flat, 0).sum(axis=-1, keepdims=True),
        known.sum(axis=-1, keepdims=True),
        out=np.zeros((*flat.shape[:-1], 1), dtype=np.float32),
        where=known.any(axis=-1, keepdims=True),
    )
    centred: Array = np.where(known, flat - mean, 0.0).reshape(len(x), -1)
    return centred


def _levels(x: Float[Array, "n w m t"]) -> Float[Array, "n d"]:
    """What is in decibels already: means over pieces of each window, about the mean of each band."""
    steps = min(STEPS, x.shape[-1])
    cut = x[..., : x.shape[-1] // steps * steps].astype(np.float32)
    level = cut.reshape(*x.shape[:-1], steps, -1).mean(axis=-1)
    centred: Array = (level - level.mean(axis=(1, 3), keepdims=True)).reshape(len(x), -1)
    return centred


def _standardised(plain: Float[Array, "n p"]) -> Float[Array, "n p"]:
    """Plain summaries, each about its mean over the cohort and by its spread; what is unknown counts as the mean."""
    if len(plain) == 0:
        return plain
    known = np.isfinite(plain)
    kept = plain[:, known.any(axis=0)].astype(np.float64)
    spread = np.nanstd(kept, axis=0)
    standardised: Array = np.nan_to_num((kept - np.nanmean(kept, axis=0)) / np.where(spread > 0, spread, 1.0))
    return standardised


KINDS: Final[Mapping[str, Callable[[Array], Array]]] = {
    "xray": _image,
    "ct": _volume,
    "eeg": _envelope,
    "ecg": _envelope,
    "audio": _levels,
    "eye": _envelope,
}
