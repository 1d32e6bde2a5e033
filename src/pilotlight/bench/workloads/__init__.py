"""What is asked in a run: prompts of our own, made lengths, sessions, files and traces."""
