"""How near a model comes to its reference, by what both say next on the same text."""
