"""Reports as one HTML file each: pure functions of what was measured."""
