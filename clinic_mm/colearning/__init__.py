"""What modalities teach each other: shared spaces, translation, distillation. Nothing generated is ever evidence."""
