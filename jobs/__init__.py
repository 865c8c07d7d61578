"""What a person runs: the commands of `nst`, and what `make` runs: demo, gallery, pictures of the README, training."""
