"""Cohere's API, version 2: requests, answers, its SDK."""
