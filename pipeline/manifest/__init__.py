"""What is asked for: the formats, columns, rows and ids of manifests, and their validation."""
