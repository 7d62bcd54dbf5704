"""What the words mean: frozen dataclasses and pure functions; no I/O, clock or randomness."""
