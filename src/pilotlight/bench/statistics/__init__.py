"""From samples to figures with intervals: pure, seeded, with the standard library alone."""
