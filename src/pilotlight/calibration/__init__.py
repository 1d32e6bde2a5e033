"""What this machine really does: shaped models, a short probe, and the constants it yields."""
