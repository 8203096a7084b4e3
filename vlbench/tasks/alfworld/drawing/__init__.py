"""Pictures of ALFWorld rooms."""
