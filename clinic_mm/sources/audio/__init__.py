"""Recorded sounds of the body (cough, heart, lung) from WAV files."""
