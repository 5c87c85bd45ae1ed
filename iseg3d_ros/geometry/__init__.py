"""Transforms, boxes, and depth images as points."""
