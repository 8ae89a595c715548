"""Owns repository metadata: opened, cut and parsed in limited children, read as an index."""
