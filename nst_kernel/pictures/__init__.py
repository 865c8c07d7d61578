"""Pictures as tensors: their sizes, how they are resized, their colours."""
