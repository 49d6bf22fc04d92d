"""Every module of Headrace can be imported without what only an extra brings being loaded.

Tools that walk a package (for documentation, types, tests) import all of it. None of them should
load LangChain, or an SDK for that matter, because the module of a provider is there.
"""

from __future__ import annotations

import subprocess
import sys

FOREIGN = (
    "anthropic", "cohere", "google.genai", "groq", "langchain_core", "mistralai", "openai", "redis",
    "xllamacpp", "PIL", "defusedxml", "grandalf", "jinja2", "yaml",
)  # fmt: skip

WALK = f"""
import importlib, pkgutil, sys
import headrace
for module in pkgutil.walk_packages(headrace.__path__, "headrace."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print([name for name in {FOREIGN!r} if name in sys.modules])
"""


def test_walking_all_modules_loads_no_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WALK], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr[-2000:]
