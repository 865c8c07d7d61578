"""The three stages of a run: fetch, optimise, write; a batch in, a batch out."""
