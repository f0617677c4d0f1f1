"""Tensors in; tokens, summary and logits out, one network per modality. What stands in an absent row reaches nothing."""
