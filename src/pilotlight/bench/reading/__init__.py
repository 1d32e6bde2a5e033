"""Other tools' result files, in this project's terms: one file a tool."""
