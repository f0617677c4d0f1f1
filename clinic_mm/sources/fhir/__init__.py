"""Turn FHIR R4 and R4B into facts and notes: each resource checked, none losing the others."""
