"""Requirements to ranked plans: pure, with no network, no clock and no hidden state."""
