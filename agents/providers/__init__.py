"""API agents: one module per provider, on what `base` shares."""
