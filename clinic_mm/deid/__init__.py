"""De-identification: DICOM, EDF and BDF, FHIR and notes by keep-lists, one pseudonym and shift per patient."""
