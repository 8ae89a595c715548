"""Owns views: snapshots as repositories that dnf can use, and serving them."""
