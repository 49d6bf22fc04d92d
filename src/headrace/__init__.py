"""Headrace: LLM applications in which everything streams."""
