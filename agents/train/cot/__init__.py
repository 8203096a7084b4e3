"""The study of thoughts and of their weight in PPO."""
