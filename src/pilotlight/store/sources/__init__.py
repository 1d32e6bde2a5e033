"""Where models come from: one file a kind of place, by scheme in `registry`."""
