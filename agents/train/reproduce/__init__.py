"""The study that compares training conditions in miniature."""
