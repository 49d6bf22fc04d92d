"""What all vendors share: the model, its clients, readers of answers, errors, embeddings."""
