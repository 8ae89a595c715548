"""Owns resolving: a definition and snapshots become a lock, by the solver that dnf itself uses."""

from goldpress.resolve.request import Chosen, Resolution, full_request, resolve
from goldpress.resolve.result import make_lock

__all__ = ["Chosen", "Resolution", "full_request", "make_lock", "resolve"]
