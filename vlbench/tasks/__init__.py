"""The tasks. Each folder holds rules, picture, prompt, demonstrations and frozen sets."""
