"""Owns the mirror's upkeep: syncing what images need, comparing, serving, and throwing away.

Nothing is imported here: each task imports the module that it runs.
"""
