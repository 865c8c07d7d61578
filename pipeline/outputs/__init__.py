"""What a run leaves in its output folder, and how it is read back."""
