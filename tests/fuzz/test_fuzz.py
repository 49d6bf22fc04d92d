"""Bounded fuzzing of what reads text that others wrote: JSON, server-sent events, XML.

With atheris, whose mutations follow the code that they reach, where it is installed; where it is
not (it has wheels for some versions of Python only), hypothesis makes up inputs in its place. A few
random inputs are tried in any case.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.targets import HEAD, LONGEST, TARGETS
from fuzz.tokens import TEXTS, WORDS

TESTS = Path(__file__).resolve().parent.parent
GUIDED = importlib.util.find_spec("atheris") is not None
RUNS = 50_000
SECONDS = 8
NAMES = sorted(TARGETS)


def _inputs(name: str) -> st.SearchStrategy[bytes]:
    """Bytes that say how, then words of the language, or anything."""
    kind = name.partition("_")[0]
    words = st.lists(st.sampled_from([*WORDS[kind], *TEXTS[kind]]), max_size=25).map("".join)
    text = st.one_of(words, st.text(max_size=40)).map(str.encode)
    return st.tuples(st.binary(min_size=HEAD, max_size=HEAD), text).map(b"".join)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_random_bytes(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(st.one_of(_inputs(name), st.binary(max_size=60))))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fuzzing_finds_nothing(name: str, tmp_path: Path) -> None:
    if GUIDED:
        _guided(name, tmp_path)
    else:
        _random(name)


def _random(name: str) -> None:
    @settings(max_examples=RUNS // 25, suppress_health_check=list(HealthCheck), deadline=None)
    @given(_inputs(name))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()


def _guided(name: str, folder: Path) -> None:
    kind = name.partition("_")[0]
    corpus, words = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, text in enumerate(TEXTS[kind]):
        for how in range(4):
            head = bytes([how + 8, 3, 1, 4, 1, 5, 9, 2, 6])
            (corpus / f"{number}-{how}").write_bytes(head + text.encode())
    escaped = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in WORDS[kind])
    words.write_text("".join(f'"{word}"\n' for word in escaped), encoding="utf-8")
    options = [
        *(f"-runs={RUNS}", f"-max_total_time={SECONDS}", f"-max_len={LONGEST}", "-seed=1"),
        *("-timeout=20", f"-dict={words}", f"-artifact_prefix={folder}/", str(corpus)),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "fuzz.atheris_run", name, *options],
        check=False,
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])},
        capture_output=True,
        text=True,
        timeout=SECONDS * 10,
    )
    assert done.returncode == 0, _found(done.stdout + done.stderr, folder)
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None, done.stderr[-2000:]
    assert int(runs[1]) >= 500, "too few to mean anything"


def _found(log: str, folder: Path) -> str:
    """What was found: the bytes, and what they did."""
    inputs = [file.read_bytes() for file in folder.glob("*-*") if file.is_file()]
    return json.dumps([repr(data) for data in inputs]) + log[-3000:]


def test_a_target_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fuzzing that cannot fail would say nothing."""

    def broken(data: bytes) -> None:
        assert b"```" not in data

    monkeypatch.setitem(TARGETS, "json_broken", broken)
    with pytest.raises(AssertionError):
        _random("json_broken")
