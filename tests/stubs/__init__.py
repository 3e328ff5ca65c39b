"""Small real servers on loopback, for what a test can't have: an agent's model provider, a guard that fails."""
