"""Labelled clouds on disk: the scenes that the package makes, and readers of the public data sets."""
