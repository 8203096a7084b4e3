"""Small models of many families: random weights, each with its processor and chat template."""
