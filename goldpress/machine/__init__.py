"""Owns machines: boot a disk, wait until it answers, hand back an address, halt it."""
