"""Labelled scenes that the package makes itself: rooms, table tops and streets, scanned by simulated sensors."""
