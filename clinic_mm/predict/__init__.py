"""Pool, calibrate, prediction set, attribution: one case in, one frozen Prediction out."""
