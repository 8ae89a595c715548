"""Owns getting a lock: where packages come from, making it, and when it is still good."""

from goldpress.locking.current import check_lock, locked
from goldpress.locking.make import bring_packages, keep_locked, lock, taken
from goldpress.locking.places import Supply, distributions, supply

__all__ = [
    "Supply",
    "bring_packages",
    "check_lock",
    "distributions",
    "keep_locked",
    "lock",
    "locked",
    "supply",
    "taken",
]
