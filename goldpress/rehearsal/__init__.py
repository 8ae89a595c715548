"""A rehearsal of the whole: a hosting site, traffic, a fleet and a story, on one machine."""
