"""Owns what happened: content-addressed files and documents, and the ledger of their names.

    pool/sha256/ab/<64 hex>.rpm     packages, immutable
    meta/sha256/<64 hex>            repository metadata, verbatim
    documents/<kind>/<64 hex>.json  snapshots, manifests, evidence: canonical JSON, immutable
    keys/<fingerprint>.asc          signing keys, accepted by their fingerprint at each use
    views/<name>                    derived: what a static host serves to dnf
    ledger/<kind>.json              mutable: which digests a name stood for, and since when
    gc/graves.json                  mutable: what is about to be deleted

Names never come from upstream: a file's path is its own sha256. A store is a directory, or an S3
bucket of which the directory is then a cache; the keys are the same.
"""

from goldpress.store.files import write_atomically
from goldpress.store.ledger import Entry
from goldpress.store.objects import Held, Listed, Objects
from goldpress.store.store import Store

__all__ = ["Entry", "Held", "Listed", "Objects", "Store", "write_atomically"]
