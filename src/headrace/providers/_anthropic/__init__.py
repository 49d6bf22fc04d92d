"""Anthropic's Messages API: requests and answers."""
