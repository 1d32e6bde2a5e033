"""Several subjects under the same loads, in turns, so that what drifts hits all of them alike."""
