"""The rounds: each workload by each contender in a fresh process, contenders in turn.

python -m benchmarks                          everything, five rounds (about ten minutes)
python -m benchmarks --only chat --rounds 9   workloads whose name has "chat" in it
python -m benchmarks --json FILE              every number of every round, too
python -m benchmarks --markdown               and write the table of docs/benchmarks.md
python -m benchmarks --src DIR                measure another tree of Headrace
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

from .contenders import CONTENDERS
from .report import Found, as_markdown, as_text, notes_of, rows
from .workloads import WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
MARKS = ("<!-- table: written by python -m benchmarks --markdown -->", "<!-- end of table -->")
PATIENCE = 300  # seconds for one worker


def main() -> int:
    options = _options()
    chosen = [w for w in WORKLOADS if any(part in w.name for part in options.only or [""])]
    if not chosen:
        names = ", ".join(workload.name for workload in WORKLOADS)
        print(f"No workload has {options.only} in its name. There are: {names}")
        return 2
    if options.markdown and len(chosen) < len(WORKLOADS):
        print("--markdown writes the whole table: leave --only out.")
        return 2
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as cache:
        env = _environment(options.src, cache)
        facts = _facts(env)
        found = _measured(chosen, options, env)
    made, notes = rows(found, chosen), notes_of(chosen)
    facts["rounds"] = f"{options.rounds}, {(perf_counter() - began) / 60:.1f} minutes"
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n")
    print(as_text(made, notes))
    if options.json:
        everything = {"facts": facts, "found": found}
        Path(options.json).write_text(json.dumps(everything, indent=1), encoding="utf-8")
    if options.markdown:
        _write_page(as_markdown(made, facts, notes))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Headrace, measured.")
    parser.add_argument("--only", action="append", metavar="NAME", help="workloads with NAME in it")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--json", metavar="FILE", help="write every number to FILE")
    parser.add_argument("--markdown", action="store_true", help="write docs/benchmarks.md's table")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="some of them, by comma")
    parser.add_argument("--src", metavar="DIR", help="where the headrace to measure is")
    return parser.parse_args()


def _environment(src: str | None, cache: str) -> dict[str, str]:
    """What workers run in: the Headrace of this checkout, bytecode kept whatever the shell says,
    nothing reported to anybody."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    paths = [src or str(ROOT / "src"), str(ROOT)]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONPYCACHEPREFIX": cache,
        "PYTHONHASHSEED": "0",
        "LANGSMITH_TRACING": "false",
        "LANGCHAIN_TRACING_V2": "false",
    }


def _measured(chosen: list[Workload], options: argparse.Namespace, env: dict[str, str]) -> Found:
    contenders = options.contenders.split(",")
    found: Found = {w.name: {c: [] for c in contenders} for w in chosen}
    for turn in range(options.rounds):
        for workload, contender in _turns(chosen, contenders, turn):
            _tell(f"round {turn + 1} of {options.rounds}: {workload.name}, {contender}")
            found[workload.name][contender].append(_worker(workload.name, contender, env))
    _tell("")
    return found


def _turns(
    chosen: list[Workload], contenders: list[str], turn: int
) -> Iterator[tuple[Workload, str]]:
    for workload in chosen:
        for contender in contenders:
            slow = contender == "langchain-core" and workload.lc_rounds is not None
            if not slow or turn < (workload.lc_rounds or 0):
                yield workload, contender


def _worker(name: str, contender: str, env: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.worker", contender, name]
    done = subprocess.run(
        command,
        check=False,
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        _tell("")
        print(done.stderr, file=sys.stderr)
        raise SystemExit(f"{name} of {contender} failed.")
    numbers: dict[str, float] = json.loads(done.stdout)
    return numbers


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _facts(env: dict[str, str]) -> dict[str, str]:
    names = ("langchain-core", "pydantic")
    versions = [f"{name} {version(name)}" for name in names]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": f"Headrace {_headrace(env)}, {', '.join(versions)}, "
        f"{platform.python_implementation()} {platform.python_version()}",
        "command": " ".join(["python -m benchmarks", *_shown(sys.argv[1:])]),
    }


def _shown(arguments: list[str]) -> list[str]:
    """The options as given; of a path only its last part."""
    return [Path(argument).name if os.sep in argument else argument for argument in arguments]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _headrace(env: dict[str, str]) -> str:
    """The version of the Headrace that is measured, installed or not."""
    code = "import headrace; print(headrace.__version__)"
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, env=env, capture_output=True, text=True
    ).stdout.strip()


def _write_page(table: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    text = f"{before}{MARKS[0]}\n\n{table}\n\n{MARKS[1]}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
