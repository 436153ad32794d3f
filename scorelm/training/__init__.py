"""Training the student: texts -> windows in all keys -> batches -> model -> checkpoints, and the best weights."""

from scorelm.training.loop import train

__all__ = ["train"]
