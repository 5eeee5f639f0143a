"""Parts of the benchmark of customer value (`clv.py`)."""
