"""Owns bringing files from a web that fails and lies: places, pace, resume, promises."""
