"""What modalities teach each other: shared spaces, translation, distillation, generation. Nothing generated is evidence."""
