"""Other ways to a manifest: archives of photographs, grids of parameters."""
