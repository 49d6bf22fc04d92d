"""`when="continue"`: no word twice, none lost, whatever was cut and whatever is repeated."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, IncompleteStream, ServerError
from headrace.events import StreamReset
from headrace.merge import merge
from headrace.messages import AIMessage
from headrace.output_parsers import StrOutputParser
from headrace.runnables import RunnableGenerator, RunnableParallel
from laws.colours import SYNC, every_colour
from laws.events import check_events
from laws.ledger import LEDGER, Recorder
from survival.models import Exact, Going, Repeating, Speaker
from survival.pieces import AGAIN, WHOLE, WORDS, WRAPS

GOES_ON: dict[str, Any] = {"when": "continue", **AGAIN}


@given(
    words=st.lists(
        st.sampled_from(["alpha ", "beta ", "gamma ", "delta ", "eps. ", "zeta\n", "eta"]),
        min_size=1,
        max_size=7,
        unique=True,
    ),
    cuts=st.lists(st.integers(0, 7), max_size=4),
    door=st.sampled_from(["invoke", "stream"]),
)
def test_the_answer_is_whole_wherever_it_was_cut(words, cuts, door):
    """A model that goes on exactly where it stopped."""

    def body(doors: Any) -> None:
        fails = {(n + 1, cut): IncompleteStream(provider="p") for n, cut in enumerate(cuts)}
        model = Going(words=words, fails=fails, said=[])
        chain = model.with_retry(stop_after_attempt=len(cuts) + 1, **GOES_ON)
        got = getattr(doors, door)(chain, "x")
        message = merge(got) if door == "stream" else got
        assert message.content == "".join(words)
        if door == "stream":
            assert len({chunk.id for chunk in got}) == 1

    SYNC.run(body)


@given(
    back=st.sampled_from([0, 100]),
    cut=st.integers(1, 4),
)
def test_what_is_said_again_is_left_out(back, cut):
    """The model repeats nothing, or all it was given."""

    def body(doors: Any) -> None:
        model = Going(fails={(1, cut): IncompleteStream(provider="p")}, back=back, said=[])
        chunks = doors.stream(model.with_retry(**GOES_ON), "x")
        assert merge(chunks).content == WHOLE
        assert len(model.said) == 2
        assert isinstance(model.said[1][-1], AIMessage)
        assert model.said[1][-1].content.rstrip() == "".join(WORDS[:cut]).rstrip()

    SYNC.run(body)


@every_colour
@pytest.mark.parametrize("counted", [False, True])
def test_usage_is_added_up_and_the_first_id_kept(colour, counted):
    def body(doors: Any) -> None:
        model = Going(fails={(1, 2): ServerError("down")}, said=[], counted=counted)
        got = doors.stream(model.with_retry(**GOES_ON), "x")
        message = merge(got)
        assert message.content == WHOLE
        assert message.id == "id-1"
        # counted: 2 chunks + 2 chunks, two prompts; else only the second try tells its usage
        made, asked = (4, 20) if counted else (2, 10)
        assert message.usage_metadata["output_tokens"] == made
        assert message.usage_metadata["input_tokens"] == asked
        assert [chunk.chunk_position for chunk in got].count("last") == 1
        assert got[-1].chunk_position == "last"

    colour.run(body)


@every_colour
def test_a_whole_answer_that_failed_is_asked_for_as_a_whole(colour):
    """`invoke` has shown nothing: it is no stream that fails."""

    def body(doors: Any) -> None:
        model = Going(fails={(1, 2): ServerError("down")}, said=[])
        message = doors.invoke(model.with_retry(**GOES_ON), "x")
        assert message.content == WHOLE
        assert message.id == "id-2"
        assert message.usage_metadata["output_tokens"] == 2
        assert len(model.said) == 2

    colour.run(body)


@every_colour
def test_words_come_as_they_are_said(colour):
    def body(doors: Any) -> None:
        model = Going(fails={(1, 2): ServerError("down")}, said=[])
        stream = doors.open(model.with_retry(**GOES_ON), "x")
        assert stream.next().content == WORDS[0]
        assert len(model.said) == 1
        stream.close()
        assert not LEDGER.still_open

    colour.run(body)


@every_colour
def test_left_at_each_chunk_on_both_sides_of_the_break(colour):
    def body(doors: Any) -> None:
        for taken in range(1, 6):
            model, seen = Going(fails={(1, 2): ServerError("down")}, said=[]), Recorder()
            stream = doors.open(model.with_retry(**GOES_ON), "x", seen.config)
            for _ in range(taken):
                stream.next()
            stream.close()
            assert not LEDGER.still_open
            check_events(seen.events)

    colour.run(body)


@every_colour
@pytest.mark.parametrize("words", [["{", '"a": 1', "}"], ["```json\n{", '"a": 1', "}\n```"]])
def test_not_within_json(colour, words):
    def body(doors: Any) -> None:
        error = ServerError("down")
        model = Going(words=words, fails={(1, 1): error}, said=[])
        with pytest.raises(ServerError) as caught:
            doors.stream(model.with_retry(**GOES_ON), "x")
        assert caught.value is error
        assert len(model.said) == 1

    colour.run(body)


@every_colour
def test_not_after_a_tool_call(colour):
    def body(doors: Any) -> None:
        error = ServerError("down")
        model = Going(fails={(1, 2): error}, said=[], calls_tool=True)
        with pytest.raises(ServerError) as caught:
            doors.stream(model.with_retry(**GOES_ON), "x")
        assert caught.value is error
        assert len(model.said) == 1

    colour.run(body)


@every_colour
def test_before_the_first_chunk_a_call_with_tools_is_tried_again(colour):
    def body(doors: Any) -> None:
        model = Going(fails={(1, 0): ServerError("down")}, said=[], calls_tool=True)
        message = merge(doors.stream(model.with_retry(**GOES_ON), "x"))
        assert [call["id"] for call in message.tool_calls] == ["call-2"]
        assert len(model.said) == 2

    colour.run(body)


@pytest.mark.parametrize("bad", [Speaker(), RunnableGenerator(lambda chunks: chunks)])
def test_only_for_models_that_go_on(bad):
    with pytest.raises(ConfigError):
        bad.with_retry(**GOES_ON).invoke("x")


@every_colour
def test_another_model_goes_on(colour):
    def body(doors: Any) -> None:
        first, second = Going(fails={(1, 2): ServerError("down")}, said=[]), Going(said=[])
        chain = first.with_fallbacks([second], when="continue")
        message = merge(doors.stream(chain, "x"))
        assert message.content == WHOLE
        assert message.id == "id-1"
        assert second.said[0][-1].content.rstrip() == "The wheel"

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize(
    "wrap", ["timeout", "restart", "hedge", "race", "breaker", "limited", "guard"]
)
def test_inside_the_others_and_behind_a_parser(colour, wrap, at):
    def body(doors: Any) -> None:
        def chain() -> Any:
            model = Going(fails={(1, at): ServerError("down")}, said=[])
            return WRAPS[wrap](model.with_retry(**GOES_ON)) | StrOutputParser()

        seen = Recorder()
        assert "".join(doors.stream(chain(), "x", seen.config)) == WHOLE
        check_events(seen.events)
        assert not any(isinstance(event, StreamReset) for event in seen.events)
        assert doors.invoke(RunnableParallel(a=chain()), "x") == {"a": WHOLE}

    colour.run(body)


@every_colour
@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("wrap", ["timeout", "limited", "breaker"])
def test_around_the_others(colour, wrap, at):
    """A model that is wrapped is still one that goes on."""

    def body(doors: Any) -> None:
        model = Going(fails={(1, at): ServerError("down")}, said=[])
        chain = WRAPS[wrap](model).with_retry(**GOES_ON)
        assert merge(doors.stream(chain, "x")).content == WHOLE

    colour.run(body)


@given(text=st.recursive(st.integers(), lambda c: st.lists(c, max_size=3), max_leaves=6))
def test_json_is_whole_or_an_error(text):
    def body(doors: Any) -> None:
        words = list(json.dumps([text]))
        model = Going(words=words, fails={(1, len(words) // 2): ServerError("down")}, said=[])
        try:
            message = merge(doors.stream(model.with_retry(**GOES_ON), "x"))
        except ServerError:
            return
        assert json.loads(message.content) == [text]

    SYNC.run(body)


SAYS_TWICE = [
    ["| --- "] * 6 + ["|"],
    ["row row row your boat\n"] * 3 + ["gently\n"],
    ["yes, ", "yes, ", "no."],
]


@every_colour
@pytest.mark.parametrize("kind", [Exact, Repeating])
@pytest.mark.parametrize("words", SAYS_TWICE, ids=["table", "song", "short"])
def test_a_model_that_says_what_it_repeats_loses_nothing(colour, words, kind):
    """`repeats_prefix` is False or True; the answer itself says things twice."""

    def body(doors: Any) -> None:
        for cut in range(1, len(words)):
            model = kind(words=words, fails={(1, cut): ServerError("down")}, said=[])
            message = merge(doors.stream(model.with_retry(**GOES_ON), "x"))
            assert message.content == "".join(words), f"cut at {cut}"

    colour.run(body)


@every_colour
def test_what_a_model_repeats_that_does_not_say_is_guessed(colour):
    """`repeats_prefix` is None: a line that is sung again looks like one that is repeated."""

    def body(doors: Any) -> None:
        line = "row row row your boat\n"
        model = Going(words=[line] * 2 + ["end"], fails={(1, 1): ServerError("down")}, said=[])
        assert merge(doors.stream(model.with_retry(**GOES_ON), "x")).content == f"{line}end"

    colour.run(body)


@given(
    cuts=st.lists(st.integers(0, 5), max_size=3),
    kind=st.sampled_from([Exact, Repeating]),
    words=st.lists(st.sampled_from(["a", "b", " ", "\n", "ab"]), min_size=1, max_size=6),
)
def test_only_what_is_said_again_is_left_out(cuts, kind, words):
    """Any text, cut anywhere, several times; one that repeats all is cut by that, and no more."""

    def body(doors: Any) -> None:
        fails = {(n + 1, cut): IncompleteStream(provider="p") for n, cut in enumerate(cuts)}
        model = kind(words=["<", *words], fails=fails, said=[])
        chain = model.with_retry(stop_after_attempt=len(cuts) + 1, **GOES_ON)
        assert merge(doors.stream(chain, "x")).content == "".join(["<", *words])

    SYNC.run(body)


@given(back=st.integers(12, 60), cut=st.integers(3, 10))
def test_a_part_of_the_end_that_is_said_again_is_left_out(back, cut):
    """Twelve characters and more of a text in which nothing comes twice."""

    def body(doors: Any) -> None:
        words = re.findall(r"\S+ ", "The mill wheel turns as its water comes in at dusk ")
        model = Going(words=words, fails={(1, cut): ServerError("down")}, back=back, said=[])
        assert merge(doors.stream(model.with_retry(**GOES_ON), "x")).content == "".join(words)

    SYNC.run(body)


class Stripped(Going):
    """One whose server refuses white space at the end of a prefix."""

    def _prefixed(self, messages: Any, partial: Any) -> Any:
        return [*messages, AIMessage(partial.content.rstrip())]


@every_colour
@pytest.mark.parametrize("words", [WORDS, ["a", "\n\n", "b", " \n ", "c", "  "], ["\n", " x"]])
def test_white_space_that_was_not_sent_comes_once(colour, words):
    def body(doors: Any) -> None:
        for cut in range(1, len(words) + 1):
            model = Stripped(words=words, fails={(1, cut): ServerError("down")}, said=[])
            message = merge(doors.stream(model.with_retry(**GOES_ON), "x"))
            assert message.content == "".join(words), f"cut at {cut}"

    colour.run(body)
