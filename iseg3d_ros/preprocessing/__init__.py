"""From points to what a network takes: voxels, features, the up direction, boundaries."""
