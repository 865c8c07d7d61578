"""Package data: the weights of the embedded encoder, and the card that says what they are."""
