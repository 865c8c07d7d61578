"""Photo archives: their photos, the style of each, what is new since the last run."""
