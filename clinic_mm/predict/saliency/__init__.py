"""Saliency: where hiding the evidence changes what a deployed expert says of it."""
