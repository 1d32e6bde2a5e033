"""The command line, through its runner, as processes and on a terminal."""
