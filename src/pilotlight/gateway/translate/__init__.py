"""Surfaces an engine doesn't speak, carried by operations it does; no I/O."""
