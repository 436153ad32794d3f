"""The student: a small vision encoder before the language model of train.py, and how it learns and reads."""
