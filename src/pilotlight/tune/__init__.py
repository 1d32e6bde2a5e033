"""Which engine and options serve a model best on this machine: tried, not guessed."""
