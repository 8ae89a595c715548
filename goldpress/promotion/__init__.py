"""Owns promotion: evidence, channel and approval, and what they allow to change."""
