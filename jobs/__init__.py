"""What a person runs: the command line, the demo, the training of the embedded encoder."""
