"""The transfer itself: the loop of one scale, the loop over scales, states to resume from."""
