"""Headline figures of the benchmarks: one format, one place where they are kept, one table and one page of pictures made of them."""

from figures.figure import Figure, Goal, Record
from figures.kept import gather, raw_file, report

__all__ = ["Figure", "Goal", "Record", "gather", "raw_file", "report"]
