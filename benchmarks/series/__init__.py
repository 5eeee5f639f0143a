"""Parts of the benchmark of revenue series (`revenue.py`)."""
