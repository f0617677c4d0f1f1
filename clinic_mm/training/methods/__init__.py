"""Fit any way of joining by its name in `schemas/methods.toml`: a lesson in, a `Joined` out."""
