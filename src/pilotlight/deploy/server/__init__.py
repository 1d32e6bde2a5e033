"""One machine: what the targets compose and systemd share."""
