"""Headrace: LLM applications in which everything streams.

The parts are imported from where they live: `headrace.runnables`, `.prompts`, `.messages`,
`.output_parsers`, `.language_models`, `.retrievers`, `.vectorstores`, `.embeddings`, `.documents`,
`.local`. Importing `headrace` itself loads nothing else.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
