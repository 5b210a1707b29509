"""Checkpoints in files: the log, the key, and a scratch index of what was signed."""
