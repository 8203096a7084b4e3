"""The tasks, a folder each: rules, picture, prompts, what replies claim, frozen sets."""
