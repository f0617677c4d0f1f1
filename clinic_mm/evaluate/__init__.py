"""Metrics, intervals and figures: arrays and frames in, figures out. Knows no model."""
