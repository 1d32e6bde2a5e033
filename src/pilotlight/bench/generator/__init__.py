"""The client that loads a server: sends on time, stamps what comes, reads it later."""
