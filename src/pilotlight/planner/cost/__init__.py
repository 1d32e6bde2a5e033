"""What a plan costs on a platform, by that platform's own rules."""
