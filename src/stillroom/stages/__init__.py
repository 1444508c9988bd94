"""Stages after the fold: Dataset -> Dataset or findings. None knows which world made a record."""
