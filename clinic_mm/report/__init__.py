"""The same Prediction as FHIR and as text. Computes no number of its own."""
