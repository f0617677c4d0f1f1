"""The multimodal deep Boltzmann machine: what any subset of modalities says of the others, as an energy."""
