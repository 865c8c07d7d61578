"""What a person runs: the command line, job files, training of the embedded encoder, examples."""
