"""Benchmarks: each module gives a flat dictionary of figures, measured in one run."""
