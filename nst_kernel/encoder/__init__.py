"""VGG-19: features and Gram matrices by layer name, and where its weights come from."""
