"""A model's tokens, bound to the grammar of sound text: those alone may come that can still lead to a whole score."""
