"""A report in words and figures: one list for the page, Markdown and the terminal."""
