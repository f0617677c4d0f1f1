"""Fit encoders, heads, pool, residual and calibration on a cohort; write the artifact."""
