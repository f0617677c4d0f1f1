"""Drafts of findings as text, from what a case has beside its notes. Nothing generated is ever evidence."""
