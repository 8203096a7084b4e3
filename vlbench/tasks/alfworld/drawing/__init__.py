"""The pictures of ALFWorld."""
