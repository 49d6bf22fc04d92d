"""Streams of Chat Completions that no recording has, for every vendor who speaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from laws.colours import both_drivers
from wires.wire import CHAT, USAGE, ask, chunk, fold, heard, streamed

every_dialect = pytest.mark.parametrize("dialect", CHAT)
END = [chunk({}, "stop"), chunk(usage=USAGE)]
CALLED = [chunk({}, "tool_calls"), chunk(usage=USAGE)]


def call(index: int | None, arguments: Any = None, name: Any = None, id: Any = None) -> Any:
    """A delta of one tool call."""
    return chunk({"tool_calls": [piece(index, arguments, name, id)]})


def piece(index: int | None, arguments: Any, name: Any = None, id: Any = None) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    made: dict[str, Any] = {"function": function}
    if index is not None:
        made["index"] = index
    if id:
        made |= {"id": id, "type": "function"}
    return made


def calls(answer: Any) -> list[tuple[str, Any]]:
    assert not answer.invalid_tool_calls, answer.invalid_tool_calls
    return [(one["name"], one["args"]) for one in answer.tool_calls]


def same(check: Any, expected: Any) -> Any:
    def judge(answer: Any) -> None:
        assert check(answer) == expected

    return judge


@both_drivers
@every_dialect
def test_interleaved_parallel_calls(colour: Any, dialect: str) -> None:
    made = streamed(
        dialect,
        call(0, "", "add", "call00000"), call(1, "", "mul", "call00001"),
        call(0, '{"a"'), call(1, '{"b": '), call(0, ": 1}"), call(1, "2}"), *CALLED,
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert calls(answer) == [("add", {"a": 1}), ("mul", {"b": 2})]
        assert [one["id"] for one in answer.tool_calls] == ["call00000", "call00001"]

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_two_calls_in_one_delta_that_share_an_index(colour: Any, dialect: str) -> None:
    """Ollama and older gateways number every call 0; the ids tell them apart."""
    both = [piece(0, '{"a": 1}', "add", "call00000"), piece(0, '{"b": 2}', "mul", "call00001")]
    made = streamed(dialect, chunk({"tool_calls": both}), *CALLED)
    heard(colour, made, same(calls, [("add", {"a": 1}), ("mul", {"b": 2})]))


@both_drivers
@every_dialect
def test_calls_one_after_the_other_that_share_an_index(colour: Any, dialect: str) -> None:
    made = streamed(
        dialect, call(0, '{"a": 1}', "add", "call00000"), call(0, '{"b": 2}', "mul", "call00001"),
        *CALLED,
    )  # fmt: skip
    heard(colour, made, same(calls, [("add", {"a": 1}), ("mul", {"b": 2})]))


@both_drivers
@every_dialect
def test_calls_without_index_or_id(colour: Any, dialect: str) -> None:
    both = [piece(None, '{"a": 1}', "add"), piece(None, '{"b": 2}', "add")]
    made = streamed(dialect, chunk({"tool_calls": both}), *CALLED)

    def check(answer: Any) -> None:
        assert calls(answer) == [("add", {"a": 1}), ("add", {"b": 2})]

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_an_id_and_a_name_repeated_in_each_delta(colour: Any, dialect: str) -> None:
    made = streamed(
        dialect, call(0, '{"a"', "add", "call00000"), call(0, ": 1}", "add", "call00000"), *CALLED
    )
    heard(colour, made, same(calls, [("add", {"a": 1})]))


@both_drivers
@every_dialect
@pytest.mark.parametrize("empty", ["", "{}", None, {}])
def test_a_call_without_arguments(colour: Any, dialect: str, empty: Any) -> None:
    made = streamed(dialect, call(0, empty, "now", "call00000"), *CALLED)
    heard(colour, made, same(calls, [("now", {})]))


@both_drivers
@every_dialect
def test_arguments_that_are_an_object(colour: Any, dialect: str) -> None:
    made = streamed(dialect, call(0, {"a": [1, {"é": "漢"}]}, "add", "call00000"), *CALLED)
    heard(colour, made, same(calls, [("add", {"a": [1, {"é": "漢"}]})]))


@both_drivers
@every_dialect
def test_huge_arguments_in_small_pieces_of_any_script(colour: Any, dialect: str) -> None:
    args = {"text": '日本語 👩‍👩‍👧 " \\ \n' * 1500, "n": 10**30}
    text = json.dumps(args, ensure_ascii=False)
    pieces = [text[at : at + 23] for at in range(0, len(text), 23)]
    made = streamed(
        dialect, call(0, "", "write", "call00000"), *(call(0, one) for one in pieces), *CALLED
    )

    def body(doors: Any, ours: Any, server: Any) -> None:
        assert calls(fold(doors.stream(ours, "?"))) == [("write", args)]

    ask(colour, made, body, how={"cut": 4099})


@both_drivers
@every_dialect
def test_arguments_that_are_no_json_are_kept(colour: Any, dialect: str) -> None:
    made = streamed(dialect, call(0, '{"a": oops', "add", "call00000"), *CALLED)

    def check(answer: Any) -> None:
        (bad,) = answer.invalid_tool_calls
        assert (bad["name"], bad["args"], bad["id"]) == ("add", '{"a": oops', "call00000")
        assert not answer.tool_calls

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_text_then_calls_and_text_again(colour: Any, dialect: str) -> None:
    made = streamed(
        dialect, chunk({"content": "Let me "}), call(0, '{"a"', "add", "call00000"),
        chunk({"content": "see"}), call(0, ": 1}"), *CALLED,
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert answer.text == "Let me see"
        assert calls(answer) == [("add", {"a": 1})]

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_null_everywhere(colour: Any, dialect: str) -> None:
    nothing: dict[str, Any] = {
        "content": None, "role": None, "tool_calls": None, "refusal": None, "audio": None,
        "function_call": None, "reasoning_content": None, "reasoning": None, "annotations": None,
    }  # fmt: skip
    made = streamed(
        dialect,
        chunk(nothing, usage=None, system_fingerprint=None, service_tier=None),
        chunk(nothing | {"content": "a"}, id=None, model=None, created=None),
        chunk({"content": "b", "tool_calls": []}, usage=None),
        chunk({"content": "c"}) | {"object": None},
        {**chunk(), "choices": None},
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "d"}}]},
        chunk({}, "stop"),
        chunk(usage={**USAGE, "prompt_tokens_details": None, "completion_tokens_details": None}),
    )

    def check(answer: Any) -> None:
        assert answer.text == "abcd"
        assert answer.usage_metadata["total_tokens"] == 10

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_unknown_fields_everywhere(colour: Any, dialect: str) -> None:
    more = {"zzz": {"a": [1]}, "yyy": "text"}
    first = chunk({"content": "a", **more}, **more)
    first["choices"][0] |= more
    second = chunk({"tool_calls": [piece(0, "{}", "now", "call00000") | more]})
    usage = {**USAGE, **more, "prompt_tokens_details": {"cached_tokens": 2, **more}}
    made = streamed(dialect, first, second, chunk({}, "tool_calls"), chunk(usage=usage))

    def check(answer: Any) -> None:
        assert answer.text == "a"
        assert calls(answer) == [("now", {})]
        assert answer.usage_metadata["input_token_details"]["cache_read"] == 2

    heard(colour, made, check)


FINISHES = ["stop", "length", "content_filter", "tool_calls", "function_call", "brand_new"]


@both_drivers
@every_dialect
@pytest.mark.parametrize("finish", FINISHES)
def test_every_finish_reason_is_told_as_it_is(colour: Any, dialect: str, finish: str) -> None:
    made = streamed(dialect, chunk({"content": "x"}), chunk({}, finish), chunk(usage=USAGE))
    heard(colour, made, same(lambda answer: answer.response_metadata["finish_reason"], finish))


@both_drivers
@every_dialect
@pytest.mark.parametrize("place", ["first", "every", "finish", "alone", "after the end", "twice"])
def test_usage_wherever_it_stands_counts_once(colour: Any, dialect: str, place: str) -> None:
    running = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    text, end = chunk({"content": "x"}), chunk({}, "stop")
    events = {
        "first": [text | {"usage": USAGE}, text, end],
        "every": [text | {"usage": running}, text | {"usage": running}, end | {"usage": USAGE}],
        "finish": [text, text, end | {"usage": USAGE}],
        "alone": [text, text, end, chunk(usage=USAGE)],
        "after the end": [text, text, end, {"usage": USAGE}],
        "twice": [text, text, end | {"usage": USAGE}, chunk(usage=USAGE)],
    }[place]

    def check(answer: Any) -> None:
        usage = answer.usage_metadata
        assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 3, 10)

    heard(colour, streamed(dialect, *events), check)


@both_drivers
@every_dialect
def test_reasoning_and_cached_tokens(colour: Any, dialect: str) -> None:
    usage = {
        **USAGE, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
    }  # fmt: skip
    made = streamed(dialect, chunk({"content": "x"}), chunk({}, "stop"), chunk(usage=usage))

    def check(answer: Any) -> None:
        assert answer.usage_metadata["input_token_details"]["cache_read"] == 4
        assert answer.usage_metadata["output_token_details"]["reasoning"] == 2

    heard(colour, made, check)


def reasoning(answer: Any) -> str:
    blocks = [block for block in answer.content_blocks if block["type"] == "reasoning"]
    return "".join(block.get("reasoning", "") for block in blocks)


@both_drivers
@every_dialect
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_either_field(colour: Any, dialect: str, field: str) -> None:
    made = streamed(
        dialect, chunk({field: "I thi"}), chunk({field: "nk.", "content": None}),
        chunk({"content": "So."}), *END,
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert reasoning(answer) == "I think."
        assert answer.text == "So."

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_the_same_reasoning_in_both_fields_counts_once(colour: Any, dialect: str) -> None:
    """OpenRouter and vLLM send `reasoning` and `reasoning_content` or `reasoning_details`."""
    details = [{"type": "reasoning.text", "text": "Hm.", "index": 0, "format": None}]
    made = streamed(
        dialect,
        chunk({"reasoning": "Hm.", "reasoning_content": "Hm.", "reasoning_details": details}),
        chunk({"content": "So."}), *END,
    )  # fmt: skip
    heard(colour, made, same(reasoning, "Hm."))


@both_drivers
@every_dialect
def test_think_tags_cut_anywhere(colour: Any, dialect: str) -> None:
    pieces = ["<th", "ink>", "I ", "thi", "nk.</", "thi", "nk>", "\n\nSo", " <b>x</b>."]
    made = streamed(dialect, *(chunk({"content": one}) for one in pieces), *END)

    def check(answer: Any) -> None:
        assert reasoning(answer).strip() == "I think."
        assert answer.text.strip() == "So <b>x</b>."

    heard(colour, made, check, think_tags=True) if dialect != "mistral" else heard(
        colour, made, same(lambda answer: answer.text, "".join(pieces))
    )


@both_drivers
@every_dialect
def test_a_refusal_is_kept(colour: Any, dialect: str) -> None:
    made = streamed(dialect, chunk({"refusal": "I will "}), chunk({"refusal": "not."}), *END)

    def check(answer: Any) -> None:
        (block,) = [one for one in answer.content_blocks if one["type"] != "text"]
        assert (block["type"], block["refusal"]) == ("refusal", "I will not.")

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_choices_are_not_mixed(colour: Any, dialect: str) -> None:
    def of(index: int, delta: Any, finish: Any = None) -> Any:
        made = chunk(delta, finish)
        made["choices"][0]["index"] = index
        return made

    made = streamed(
        dialect, of(1, {"content": "B"}), of(0, {"content": "A"}), of(1, {"content": "b"}),
        of(0, {"content": "a"}), of(1, {}, "length"), of(0, {}, "stop"), chunk(usage=USAGE),
    )  # fmt: skip

    def check(answer: Any) -> None:
        assert answer.text == "Aa"
        assert answer.response_metadata["finish_reason"] == "stop"
        assert "Bb" in str(answer.response_metadata["other_choices"])

    heard(colour, made, check)


@both_drivers
@pytest.mark.parametrize("dialect", [name for name in CHAT if name != "mistral"])
def test_logprobs_come_once_and_in_order(colour: Any, dialect: str) -> None:
    def told(token: str) -> Any:
        made = chunk({"content": token})
        made["choices"][0]["logprobs"] = {
            "content": [{"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": []}],
            "refusal": None,
        }
        return made

    made = streamed(dialect, told("a"), told("b"), *END)

    def check(answer: Any) -> None:
        seen = answer.response_metadata["logprobs"]["content"]
        assert [one["token"] for one in seen] == ["a", "b"]

    heard(colour, made, check)


@both_drivers
@every_dialect
def test_chunks_share_an_id_and_the_last_is_marked(colour: Any, dialect: str) -> None:
    made = streamed(
        dialect, chunk({"content": "a"}, id=""), chunk({"content": "b"}, id="chatcmpl-2"), *END
    )

    def body(doors: Any, ours: Any, server: Any) -> None:
        chunks = doors.stream(ours, "?")
        assert len({one.id for one in chunks}) == 1
        assert [one.chunk_position for one in chunks].count("last") == 1
        assert chunks[-1].chunk_position == "last"

    ask(colour, made, body)
