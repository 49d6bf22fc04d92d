"""OpenAI's Responses API: requests and answers."""
