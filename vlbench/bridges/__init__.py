"""Bridges to other engines: the benchmark as their tasks, environments and data sets.

Every engine is imported inside its own module, and none of them is needed by another. All play
through `conversation.Conversation`, so that whatever an engine played is recorded as the harness
records it, and can be replayed.
"""
