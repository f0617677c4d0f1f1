"""The model card for people and systems: with the figures of an evaluation, as HTML and as FHIR.

evaluated   sections from an evaluation folder of this very model
html        one page, nothing loaded from elsewhere
fhir        DocumentReference (R4B) that carries the card, with its hashes
"""
