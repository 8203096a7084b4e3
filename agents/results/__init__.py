"""What an evaluation gave: the run, its rows as a table, and a paper's tables and figures."""
