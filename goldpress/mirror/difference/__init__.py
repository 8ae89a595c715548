"""Owns differences: between two snapshots or two locks, with the CVEs they fix."""
