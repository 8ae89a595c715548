"""Owns the embedded cloud: a process of its own that other code reaches over HTTP only."""
