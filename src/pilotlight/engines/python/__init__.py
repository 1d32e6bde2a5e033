"""A class of the user's own as an engine: for models that no other engine runs."""
