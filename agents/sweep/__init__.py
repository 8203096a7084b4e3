"""Several values of one rule, or the rungs of a ladder, in one call; and the curve over them."""
