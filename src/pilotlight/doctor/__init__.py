"""What is right and wrong with this machine for serving models, and how to mend it."""
