"""Values written down as JSON and read back: messages, documents, generations, prompt values.

`dumps` and `loads` are the pair for text, `dumpd` and `load` for what `json` takes and gives. What
is written carries a version; reading looks names up in closed tables and executes nothing.
"""

from .reading import load, loads
from .writing import VERSION, dumpd, dumps

__all__ = ["VERSION", "dumpd", "dumps", "load", "loads"]
