"""Owns the host: the only subprocesses, their confinement, and which tools are there."""
