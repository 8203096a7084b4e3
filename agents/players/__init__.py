"""Players that are no language models: scripted ones, and the convolutional policy."""
