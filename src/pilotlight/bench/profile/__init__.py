"""Which loads to run, in which order, and when to stop: decisions, and who performs them."""
