"""What a person sees of a run: metrics, curves, sampled replies, and lines on the terminal."""
