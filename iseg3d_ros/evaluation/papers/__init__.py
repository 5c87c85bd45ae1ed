"""What the papers print: a YAML file a paper, read by `evaluation.tables`."""
