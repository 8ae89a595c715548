"""Owns tasks by noun; `tasks.py` has the others, and puts all of them together."""
