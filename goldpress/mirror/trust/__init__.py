"""Owns trust: which keys may sign, and that a package is what was promised."""
