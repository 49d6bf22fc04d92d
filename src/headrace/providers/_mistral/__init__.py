"""Mistral's dialect of Chat Completions: requests, answers, its SDK."""
