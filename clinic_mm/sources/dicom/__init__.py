"""Open DICOM files within limits, say what they are, and decode pixels in a process of its own."""
