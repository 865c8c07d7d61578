"""The losses of the paper, their targets, and the callable from pixels to losses."""
