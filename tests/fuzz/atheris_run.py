"""One bounded run of a coverage-guided fuzzer: `python atheris_run.py TARGET [options]`.

The options are libFuzzer's. A process of its own, because libFuzzer ends it and because what is
fuzzed must be instrumented while it is imported.
"""

from __future__ import annotations

import sys

import atheris

INSTRUMENTED = ["headrace.jsonstream", "headrace.sse", "headrace.output_parsers"]


def main() -> None:
    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz import targets
    target = targets.TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
