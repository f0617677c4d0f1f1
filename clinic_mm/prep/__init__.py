"""Signals in; tensors and plain summaries out, each with the steps done. Reads no file and knows no patient."""
