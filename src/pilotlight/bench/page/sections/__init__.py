"""One file a question that a report answers: each gives its HTML, or nothing."""
