"""What policies say when they are made, or asked for something, in a way that cannot work, and what
is known of each failure when all have failed."""

from __future__ import annotations

from typing import Any

import anthropic
import cohere
import httpx
import openai
import pytest
from google.genai import errors as google

from headrace import errors
from headrace.errors import ConfigError, ServerError
from headrace.output_parsers import StrOutputParser
from headrace.prompts import ChatPromptTemplate
from headrace.providers.openai import ChatOpenAI
from headrace.rate_limiters import InMemoryRateLimiter
from headrace.resilience import Reset, limited, race
from headrace.runnables import RunnableGenerator, RunnableLambda
from laws.colours import Colour, every_colour

MODEL = ChatOpenAI(model="gpt-4o-mini", api_key="x")  # type: ignore[arg-type]
CHAIN = ChatPromptTemplate.from_template("{topic}") | MODEL | StrOutputParser()
AGAIN: dict[str, Any] = {"wait_exponential_jitter": False}

OURS = [
    (openai.RateLimitError, "openai.RateLimitError", "RateLimitError"),
    (openai.APITimeoutError, "openai.APITimeoutError", "Timeout"),
    (openai.APIConnectionError, "openai.APIConnectionError", "ConnectionError"),
    (openai.ConflictError, "openai.ConflictError", "ProviderError"),
    (anthropic.OverloadedError, "anthropic.OverloadedError", "OverloadedError"),
    (cohere.TooManyRequestsError, "cohere.TooManyRequestsError", "RateLimitError"),
    (google.ServerError, "google.genai.ServerError", "ServerError"),
    (httpx.ReadTimeout, "httpx.ReadTimeout", "Timeout"),
    (httpx.HTTPStatusError, "httpx.HTTPStatusError", "ProviderError"),
]


@pytest.mark.parametrize(("kind", "theirs", "ours"), OURS)
@pytest.mark.parametrize("made", [MODEL, CHAIN, MODEL.bind(stop=["."])], ids=["model", "|", "bind"])
def test_an_sdks_exception_is_never_raised_by_our_models(made, kind, theirs, ours):
    said = rf"holds {theirs}, which is never raised here: use headrace\.errors\.{ours}\."
    assert issubclass(getattr(errors, ours), Exception)
    with pytest.raises(ConfigError, match=f"retry_if_exception_type {said}"):
        made.with_retry(retry_if_exception_type=(ValueError, kind))
    with pytest.raises(ConfigError, match=f"exceptions_to_handle {said}"):
        made.with_fallbacks([MODEL], exceptions_to_handle=(kind,))


@every_colour
def test_code_of_a_users_may_raise_it(colour: Colour) -> None:
    """A function that asks the SDK itself is tried again."""

    def body(doors: Any) -> None:
        calls: list[str] = []

        def ask(topic: str) -> str:
            calls.append(topic)
            if len(calls) == 1:
                raise httpx.ConnectError("down")
            return topic

        kinds = (httpx.ConnectError,)
        chain = RunnableLambda(ask).with_retry(retry_if_exception_type=kinds, **AGAIN)
        assert doors.invoke(chain, "x") == "x"
        assert calls == ["x", "x"]

    colour.run(body)
    (CHAIN | RunnableLambda(str)).with_retry(retry_if_exception_type=(httpx.ConnectError,))
    CHAIN.with_fallbacks([RunnableLambda(str)], exceptions_to_handle=(openai.RateLimitError,))


@pytest.mark.parametrize("word", ["transiant", "Transient", "transients"])
def test_a_misspelled_word_is_told(word):
    with pytest.raises(ConfigError, match=f"is '{word}'.*did you mean \"transient\""):
        MODEL.with_retry(retry_if_exception_type=word)


POLICIES = [
    (MODEL.with_retry(), "{}.with_retry(…)"),
    (MODEL.with_timeout(total=5), "{}.with_timeout(…)"),
    (MODEL.with_hedge(), "{}.with_hedge(…)"),
    (MODEL.with_circuit_breaker(), "{}.with_circuit_breaker(…)"),
    (limited(MODEL, InMemoryRateLimiter()), "limited({}, …)"),
    (MODEL.with_timeout(total=5).with_retry(), "{}.with_retry(…)"),
    (MODEL.with_hedge(MODEL.with_retry(), after=1), "{}.with_hedge(other.{call}, …)"),
    (race(MODEL, RunnableLambda(str)), "race(a.{call}, b.{call})"),
    (race(RunnableLambda(str), MODEL.with_timeout(total=5)), "race(a.{call}, b.{call})"),
    (race(MODEL, MODEL).with_timeout(total=5), "{}.with_timeout(…)"),
    (MODEL.with_fallbacks([MODEL]).with_retry(), "{}.with_retry(…)"),
]


@pytest.mark.parametrize(("policy", "written"), POLICIES, ids=lambda each: str(each)[:30])
@pytest.mark.parametrize("name", ["bind_tools", "with_structured_output"])
def test_a_policy_says_where_a_models_methods_are_called(policy, written, name):
    with pytest.raises(AttributeError, match="which is of the ChatOpenAI in it") as caught:
        getattr(policy, name)
    call = f"{name}(…)"
    assert f"as in {written.format(f'model.{call}', call=call)}." in str(caught.value)
    assert not hasattr(policy, name)
    with pytest.raises(AttributeError, match=r"^'Runnable\w+' object has no attribute 'nothing'$"):
        _ = policy.nothing
    with pytest.raises(AttributeError, match=r"call it there, as in model\.get_num_tokens\(…\)\.$"):
        policy.get_num_tokens("x")


def test_a_breakers_misspelled_number_is_told():
    with pytest.raises(TypeError, match="knows no 'failure': did you mean failures"):
        MODEL.with_circuit_breaker(failure=2)
    with pytest.raises(TypeError, match="knows no 'xyz': give any of failures, within"):
        MODEL.with_circuit_breaker(xyz=2)


def test_what_does_not_go_on_is_told_with_its_model():
    with pytest.raises(ConfigError, match=r"around ChatOpenAI \(gpt-4o-mini\), which does not"):
        MODEL.with_retry(when="continue")


# ------------------------------------------------------------------ all have failed


def failing(error: Exception, name: str) -> Any:
    def fail(value: Any) -> Any:
        raise error

    return RunnableLambda(fail, name=name)


@every_colour
@pytest.mark.parametrize("door", ["invoke", "stream"])
def test_the_first_failure_tells_of_the_others(colour: Colour, door: str) -> None:
    """Also where the same exceptions are raised again: a note comes once."""
    first = ServerError("first down")
    others = [failing(ValueError("no key"), "second"), failing(KeyError("k"), "third")]
    chain = failing(first, "one").with_fallbacks(others)

    def body(doors: Any) -> None:
        for _ in range(2):
            with pytest.raises(ServerError) as caught:
                list(getattr(doors, door)(chain, "x"))
            assert caught.value is first
        assert [note for note in first.__notes__ if note.startswith("The fallback")] == [
            "The fallback 1 (second) failed as well: ValueError: no key",
            "The fallback 2 (third) failed as well: KeyError: 'k'",
        ]

    colour.run(body)


def test_one_that_fails_alike_is_no_news():
    same = ValueError("no")
    with pytest.raises(ValueError, match="no") as caught:
        failing(same, "one").with_fallbacks([failing(same, "two")]).invoke("x")
    assert not [note for note in caught.value.__notes__ if "fallback" in note]


# ------------------------------------------------------------------ resets inside a chain


def letters(inputs: Any) -> Any:
    for _ in inputs:
        yield from "ab"


def as_it_comes(inputs: Any) -> Any:
    yield from inputs


LIVE: dict[str, Any] = {"when": "restart", "resets": True, **AGAIN}
STEP = RunnableGenerator(letters)
AFTER = RunnableGenerator(as_it_comes)
INSIDE = [
    STEP.with_retry(**LIVE) | AFTER,
    AFTER | STEP.with_retry(**LIVE),
    STEP.with_retry(**LIVE).with_timeout(total=9),
    STEP.with_fallbacks([AFTER], when="restart", resets=True) | AFTER,
]


FALLBACKS = INSIDE[-1].steps[0].get_name()


@pytest.mark.parametrize("chain", INSIDE, ids=str)
def test_explain_says_that_one_inside_holds_back(chain):
    rows = chain.explain()
    held = next(row for row in rows if "resets=True" in row.terms or row.name == FALLBACKS)
    assert held.kind == "barrier"
    assert held.advice.startswith("put it around the whole chain, with resets=True")
    assert not rows.streams


@pytest.mark.parametrize("named", [False, True])
def test_explain_says_that_the_outermost_one_does_not(named):
    policy = (STEP | AFTER).with_retry(**LIVE)
    rows = (policy.with_config(run_name="all") if named else policy).explain()
    assert rows.steps[0].kind == "source"
    assert not any(row.advice for row in rows)
    assert rows.streams


@every_colour
def test_what_explain_says_is_so(colour: Colour) -> None:
    """The one inside gives no `Reset`, the one around the chain does."""

    def body(doors: Any) -> None:
        for inside in (True, False):
            tries: list[int] = []

            def cut(inputs: Any, tries: list[int] = tries) -> Any:
                tries.append(1)
                yield "a"
                if len(tries) == 1:
                    raise ServerError("cut")
                yield "b"

            step = RunnableGenerator(cut)
            chain = step.with_retry(**LIVE) | AFTER if inside else (step | AFTER).with_retry(**LIVE)
            said = [type(chunk) for chunk in doors.stream(chain, "x")]
            assert said == ([str, str] if inside else [str, Reset, str, str])

    colour.run(body)
