"""One table of request fields for each operation and each Ollama request."""
