"""OpenAI's embeddings and tokens."""
