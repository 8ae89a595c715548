"""Owns proof: run a suite against a booted machine, judge it strictly, write evidence."""
