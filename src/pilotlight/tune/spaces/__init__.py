"""What can be varied of each engine, and from where to begin."""
