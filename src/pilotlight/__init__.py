"""Pilotlight: plan, serve, measure and deploy open language models on hardware you control."""

__version__ = "0.1.0"
