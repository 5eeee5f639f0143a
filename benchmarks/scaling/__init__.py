"""Parts of `scale.py`: a company of any size, steps in processes of their own with a budget, and how their cost grows."""
