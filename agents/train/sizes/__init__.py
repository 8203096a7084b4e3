"""Where PPO adds nothing: its gain over model size and difficulty."""
