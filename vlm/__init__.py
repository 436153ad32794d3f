"""A small model that reads pictures of scores: its data, its teacher and how the teacher is adapted."""
