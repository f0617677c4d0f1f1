"""Tokens and expert opinions of any subset of modalities in; case logits out. Masks everywhere."""
