"""How well a reader reads: score text, fields and words, counted against records whose answers are known."""
