"""What calls cost: prices, budgets, and estimates before anything is played."""
