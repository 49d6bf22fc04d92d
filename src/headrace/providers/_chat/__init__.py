"""The Chat Completions protocol: requests, answers, and the base of models that speak it."""
