"""Read 12-lead ECGs: DICOM waveforms, EDF, WFDB and tables, all ending in millivolts by standard lead names."""
