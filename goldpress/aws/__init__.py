"""Owns talking to AWS: one small client a service; errors are translated once."""
