"""What an expert's opinion rests on inside its own modality: features of a record, words of a note."""
