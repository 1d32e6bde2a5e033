"""Exact tokens: what counts them, and text that has as many as asked for."""
