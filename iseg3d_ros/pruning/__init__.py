"""Heterogeneous pruning: remove whole channels and heads, ranked among their equals."""
