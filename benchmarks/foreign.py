"""Make inputs that no model of a chest X-ray, a chest CT or an EEG should answer: pictures, phantoms, broken channels.

In:  a random generator. Out: arrays and signals. Photographs are crops of the three that scikit-learn and matplotlib
bring; pages and screens are drawn; heads and bellies are phantoms of ellipsoids. Nothing here is a patient's.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, TypeVar

import matplotlib.cbook
import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage
from sklearn.datasets import load_sample_images

from clinic_mm.signals import CtVolume

SIDE: Final = 512
WORDS: Final = (
    "the patient was seen today and reports no pain since last visit medication unchanged follow up in three months"
)
T = TypeVar("T")
Grey = Float32[Array, "row column"]


@cache
def _photographs() -> tuple[Array, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hopper = np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg")).convert("L"))
    grey = [np.asarray(Image.fromarray(one).convert("L")) for one in load_sample_images().images]
    return (*grey, hopper)


def photo(rng: np.random.Generator) -> Grey:
    """A crop of a photograph, in grey, at some brightness."""
    source = _photographs()[int(rng.integers(len(_photographs())))]
    side = int(rng.integers(200, min(source.shape) + 1))
    row, column = (int(rng.integers(0, length - side + 1)) for length in source.shape)
    crop = source[row : row + side, column : column + side].astype(np.float32) / 255
    return np.clip(crop ** rng.uniform(0.6, 1.6), 0, 1).astype(np.float32)


def page(rng: np.random.Generator) -> Grey:
    """A scanned page of text, a little blurred and unevenly lit."""
    image = Image.new("L", (SIDE, SIDE), int(rng.integers(215, 250)))
    draw, words = ImageDraw.Draw(image), np.array(WORDS.split())
    top, step = int(rng.integers(10, 60)), int(rng.integers(12, 30))
    for y in range(top, SIDE - int(rng.integers(10, 160)), step):
        draw.text((30, y), " ".join(rng.choice(words, int(rng.integers(5, 13)))), fill=int(rng.integers(20, 90)))
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 2.5)))), np.float32) / 255
    light = 1 - rng.uniform(0, 0.3) * np.linspace(0, 1, SIDE)[None, :]
    return np.clip(grey * light + rng.normal(0, 0.01, grey.shape), 0, 1).astype(np.float32)


def screen(rng: np.random.Generator) -> Grey:
    """A screenshot: windows, bars, boxes and a few words, with the anti-aliasing of a resized capture."""
    image = Image.new("L", (SIDE, SIDE), int(rng.integers(0, 255)))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 12))):
        x, y = rng.integers(0, SIDE - 60, 2).tolist()
        width, height = rng.integers(40, 300, 2).tolist()
        draw.rectangle((x, y, x + width, y + height), fill=int(rng.integers(0, 255)), outline=int(rng.integers(0, 255)))
        draw.text((x + 8, y + 6), " ".join(WORDS.split()[: int(rng.integers(1, 9))]), fill=int(rng.integers(0, 255)))
    grey = np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 2.0)))), np.float32) / 255
    return grey.astype(np.float32)


def head(rng: np.random.Generator) -> CtVolume:
    """A phantom of a head: skull, brain, ventricles, air around."""
    hu, at = _space(rng, (0.62, 0.75, 0.8))
    hu[at(1.0)] = 45.0
    hu[at(0.94)] = rng.uniform(700, 1200)
    hu[at(0.86)] = rng.uniform(28, 40)
    hu[at(0.25)] = rng.uniform(4, 14)
    return CtVolume(_grained(hu, rng), (4.0, 4.0, 4.0))


def belly(rng: np.random.Generator) -> CtVolume:
    """A phantom of an abdomen: soft tissue, a liver, a spine, gas in the bowel; no lung."""
    hu, at = _space(rng, (0.9, 0.65, 3.0))
    hu[at(1.0)] = -90.0
    hu[at(0.88)] = rng.uniform(35, 60)
    hu[at(0.4, (0.4, 0.1, 0.0))] = rng.uniform(90, 120)
    hu[at(0.18, (0.0, -0.42, 0.0))] = rng.uniform(250, 450)
    for _ in range(int(rng.integers(2, 6))):
        hu[at(0.1, (rng.uniform(-0.5, 0.5), rng.uniform(0, 0.3), rng.uniform(-0.5, 0.5)))] = -700.0
    return CtVolume(_grained(hu, rng), (4.0, 4.0, 4.0))


def _space(rng: np.random.Generator, axes: tuple[float, float, float]) -> tuple[Array, Callable[..., Array]]:
    """Air, and where an ellipsoid of some size lies in it, about some place."""
    grid = np.stack(np.meshgrid(*3 * [np.linspace(-1, 1, 64)], indexing="ij")).astype(np.float32)
    scale = np.array(axes) * rng.uniform(0.9, 1.1, 3)
    moved = rng.uniform(-0.06, 0.06, 3)

    def at(size: float, where: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Array:
        middle = (moved + np.array(where))[:, None, None, None]
        inside: Array = (((grid - middle) / (size * scale)[:, None, None, None]) ** 2).sum(axis=0) < 1
        return inside

    return np.full(grid.shape[1:], -1000.0, np.float32), at


def _grained(hu: Array, rng: np.random.Generator) -> Array:
    smooth = ndimage.gaussian_filter(hu, 0.7)
    return (smooth + rng.normal(0, 15, hu.shape)).astype(np.float32)


def many(make: Callable[[np.random.Generator], T], n: int, seed: int) -> Iterator[T]:
    """Some of them, the same ones for the same seed."""
    return (make(np.random.default_rng([seed, k])) for k in range(n))
