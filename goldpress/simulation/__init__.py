"""Owns simulating rolls: the code of `roll`, over thousands of instances that are only rules."""
