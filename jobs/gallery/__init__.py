"""The gallery: a sheet of pictures for each control of a transfer, to see what it does."""
