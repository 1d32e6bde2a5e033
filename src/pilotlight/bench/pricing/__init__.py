"""What a stage's tokens cost: `pricing.pricing.costs` is the door."""
