"""Curves of a run from its events: columns read as the file grows, axes, smoothing, buckets, markers, resources."""
