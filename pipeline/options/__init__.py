"""What a run may be told: frozen models with defaults and bounds."""
