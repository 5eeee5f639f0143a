"""From the outside world to validated tables."""
