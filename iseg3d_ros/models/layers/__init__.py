"""The parts that networks are made of: backbones, attention, heads, position codes, losses."""
