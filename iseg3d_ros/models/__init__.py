"""The published networks, one a file, over a shared backbone and shared attention."""
