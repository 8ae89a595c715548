"""Owns the stand-in distribution: CentOS Stream's names and paths, Debian's programs."""
