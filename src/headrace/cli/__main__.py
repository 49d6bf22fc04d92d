"""`python -m headrace.cli` is `headrace`."""

from __future__ import annotations

import sys

from . import main

sys.exit(main())
