"""Read eye tracking: tables of gaze samples, whose columns say their units by name or by the ingest file."""
