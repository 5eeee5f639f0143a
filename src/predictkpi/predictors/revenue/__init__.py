"""How will revenue grow."""
