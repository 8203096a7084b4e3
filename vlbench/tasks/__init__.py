"""The tasks, a folder each: rules, picture, prompt, demonstrations, frozen sets."""
