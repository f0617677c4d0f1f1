"""Benchmarks: each a ratio in one run, its figures in docs/performance.md."""
