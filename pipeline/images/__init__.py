"""Bytes of image files to pixels and back, and how alike two pictures are."""
