"""The error of states that a transfer cannot resume from."""


class StateError(ValueError):
    """A state that is damaged, or of another request, encoder or version."""
