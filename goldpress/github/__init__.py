"""Owns talking to GitHub: pull requests, reviews, comments, trees; errors are translated once."""
