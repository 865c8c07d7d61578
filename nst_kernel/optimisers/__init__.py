"""Optimisers of the pixels: L-BFGS with a learned curvature, and Adam."""
