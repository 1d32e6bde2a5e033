"""Plan → files → platform → measurement; one package a target."""
