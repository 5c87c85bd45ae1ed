"""One simulated user, one protocol, and the figures that the papers print."""
