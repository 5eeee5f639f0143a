"""Parts of `serving.py`: the company served, the servers, and what asks them."""
