"""Workload in, report out: what a client feels, measured honestly."""
