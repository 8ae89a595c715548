"""Owns statements: what is said of an image, by whom it is signed, and who is believed."""
