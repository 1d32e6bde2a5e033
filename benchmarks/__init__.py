"""Measurements of this product, one command each: ``python -m benchmarks.NAME``."""
