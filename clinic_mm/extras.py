"""Optional parts: which there are, whether they are installed, and how to get them."""

from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Final

from clinic_mm.errors import ExtraMissingError


@dataclass(frozen=True, slots=True)
class Extra:
    """One optional part: the distribution, the module it gives, what it is for, how to install it."""

    distribution: str
    module: str
    purpose: str
    install: str


EXTRAS: Final = (
    Extra("imagecodecs", "imagecodecs", "JPEG lossless and 12-bit DICOM", 'pip install "clinic_mm[jpeg-lossless]"'),
    Extra("ray", "ray", "screening on a cluster: --engine ray", 'pip install "clinic_mm[ray]"'),
    Extra("dask", "dask", "screening on a Dask cluster: --engine dask", 'pip install "clinic_mm[dask]"'),
    Extra("distributed", "distributed", "screening on a Dask cluster: --engine dask", 'pip install "clinic_mm[dask]"'),
    Extra("optuna", "optuna", "search for settings: clinic-mm search", 'pip install "clinic_mm[search]"'),
    Extra("tensorboardX", "tensorboardX", "loss curves for TensorBoard", 'pip install "clinic_mm[tensorboard]"'),
    Extra("psycopg", "psycopg", "the store of the dashboard on PostgreSQL", 'pip install "clinic_mm[postgresql]"'),
    Extra("Authlib", "authlib", "signing in through an identity provider", 'pip install "clinic_mm[oidc]"'),
    Extra("transformers", "transformers", "note encoder from a local folder", "pip install transformers"),
)


def installed(distribution: str) -> str | None:
    """Version of a distribution, None where it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def need(module: str) -> ModuleType:
    """Import an optional module.

    Raises:
        ExtraMissingError: If it is not installed, with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        extra = next((e for e in EXTRAS if e.module == module), None)
        mend = extra.install if extra else f"pip install {module}"
        raise ExtraMissingError(f"The optional part {module} is not installed", module, f"Run: {mend}") from error


CORE: Final = (
    "torch", "monai", "pydicom", "highdicom", "mne", "fhir.resources", "streamlit", "pandas", "pyarrow", "scikit-learn",
    "safetensors", "pydantic", "openvino",
)  # fmt: skip


def check_up() -> list[dict[str, str]]:
    """What is installed and what is not: part, version, what it is for, how to get it."""
    core = [{"part": name, "version": installed(name) or "MISSING", "for": "core", "get": ""} for name in CORE]
    for row in core:
        row["get"] = "pip install clinic_mm" if row["version"] == "MISSING" else ""
    optional = [
        {
            "part": extra.distribution,
            "version": installed(extra.distribution) or "not installed",
            "for": extra.purpose,
            "get": "" if installed(extra.distribution) else extra.install,
        }
        for extra in EXTRAS
    ]
    return core + optional
