"""Owns fleets: what their groups are, what keeps them from a roll, what it will do, how it goes."""
