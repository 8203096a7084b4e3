"""Several values of a rule or setting, or a ladder's rungs, in one call; the curve over them."""
