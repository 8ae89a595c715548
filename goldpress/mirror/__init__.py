"""Owns the mirror: snapshots of repositories, the packages that locks need, and their trust."""
