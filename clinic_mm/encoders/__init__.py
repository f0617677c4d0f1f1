"""Tensors in; tokens, summary and logits out, one network per modality. An absent row reaches nothing."""
