"""What a process does about signals, hangs, draining nodes and garbage collection."""
