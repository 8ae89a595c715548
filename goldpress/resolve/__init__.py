"""Owns resolving: a definition and a snapshot become a lock, by the solver that dnf itself uses."""

from goldpress.resolve.request import Chosen, Resolution, resolve
from goldpress.resolve.result import make_lock, request_sha256

__all__ = ["Chosen", "Resolution", "make_lock", "request_sha256", "resolve"]
