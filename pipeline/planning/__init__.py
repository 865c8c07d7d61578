"""What will run: fingerprints, output shapes, costs and batches, from metadata alone."""
