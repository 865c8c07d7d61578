"""Every parameter of a style transfer, declared once, and the presets."""
