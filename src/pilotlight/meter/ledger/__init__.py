"""Who used what: tokens, seconds, joules and dollars of every request, kept exactly."""
