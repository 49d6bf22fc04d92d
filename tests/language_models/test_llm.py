"""Text models: one call for a batch where the class can, `generate`, events as LangChain's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.callbacks import BaseCallbackHandler
from headrace.errors import InputError, ModelError
from headrace.language_models import LLM, BaseLLM, FakeListLLM
from headrace.outputs import Generation, GenerationChunk, LLMResult
from headrace.prompts import PromptTemplate
from laws.colours import every_colour


class Upper(BaseLLM):
    """Answers several prompts at once, each twice."""

    seen: list[Any] = []  # noqa: RUF012 - pydantic copies it

    def _generate(self, prompts: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        self.seen.append((list(prompts), stop, kw))
        answers = [[Generation(p.upper()), Generation(p)] for p in prompts]
        return LLMResult(generations=answers, llm_output={"token_usage": {"n": 1}, "model": "u"})


class AsyncUpper(Upper):
    async def _agenerate(self, prompts: Any, stop: Any = None, run_manager: Any = None,
                         **kw: Any) -> Any:  # fmt: skip
        return self._generate(prompts, stop, **kw)


KINDS = [Upper, AsyncUpper]


class Told(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts: list[Any] = []
        self.ends: list[Any] = []
        self.errors: list[Any] = []
        self.sizes: list[int] = []

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.starts.append((run_id, prompts))
        self.sizes.append(kwargs["batch_size"])

    def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.ends.append((run_id, response))

    def on_llm_error(self, error: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.errors.append((run_id, error))


class AwaitedTold(Told):
    """The same, with a hook that is awaited."""

    async def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        await asyncio.sleep(0)
        self.ends.append((run_id, response))


@every_colour
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_one_call_and_each_prompt_a_run(colour, kind):
    def body(doors: Any) -> None:
        model, told = kind(), AwaitedTold() if doors.asynchronous else Told()
        config = {"callbacks": [told]}
        assert doors.batch(model, ["a", "b", "c"], config, stop=["x"], k=1) == ["A", "B", "C"]
        assert model.seen == [(["a", "b", "c"], ["x"], {"k": 1})]
        assert [prompts for _, prompts in told.starts] == [["a"], ["b"], ["c"]]
        assert told.sizes == [3, 3, 3]
        assert len({run for run, _ in told.starts}) == 3
        assert [run for run, _ in told.ends] == [run for run, _ in told.starts]
        ends = [response for _, response in told.ends]
        assert [[one.text for one in each.generations[0]] for each in ends] == [
            ["A", "a"], ["B", "b"], ["C", "c"]
        ]  # fmt: skip
        usage = [each.llm_output["token_usage"] for each in ends]
        assert usage == [{"n": 1}, {}, {}]  # counted once
        assert doors.batch(model, []) == []

    colour.run(body)


@every_colour
@pytest.mark.parametrize("kind", KINDS)
def test_max_concurrency_bounds_the_prompts_of_a_call(colour, kind):
    def body(doors: Any) -> None:
        model = kind()
        assert doors.batch(model, list("abcde"), {"max_concurrency": 2}) == list("ABCDE")
        assert [prompts for prompts, _, _ in model.seen] == [["a", "b"], ["c", "d"], ["e"]]

    colour.run(body)


@every_colour
def test_in_a_chain_the_model_is_asked_once_for_a_batch(colour):
    def body(doors: Any) -> None:
        model = Upper()
        chain = PromptTemplate.from_template("say {x}") | model | (lambda text: text + "!")
        assert doors.batch(chain, [{"x": "a"}, {"x": "b"}]) == ["SAY A!", "SAY B!"]
        assert [prompts for prompts, _, _ in model.seen] == [["say a", "say b"]]
        assert doors.invoke(chain, {"x": "c"}) == "SAY C!"

    colour.run(body)


@every_colour
def test_a_failing_call_fails_its_prompts(colour):
    class Failing(Upper):
        def _generate(self, prompts: Any, *args: Any, **kw: Any) -> Any:
            if "bad" in prompts:
                raise ConnectionError("gone")
            return super()._generate(prompts, *args, **kw)

    def body(doors: Any) -> None:
        told = Told()
        with pytest.raises(ConnectionError, match="gone"):
            doors.batch(Failing(), ["a", "bad"], {"callbacks": [told]})
        assert len(told.errors) == len(told.starts) == 2
        assert told.ends == []
        found = doors.batch(
            Failing(), ["a", "b", "bad", "c"], {"max_concurrency": 2}, return_exceptions=True
        )
        assert found[:2] == ["A", "B"]
        assert [type(each) for each in found[2:]] == [ConnectionError] * 2

    colour.run(body)


@every_colour
def test_an_input_that_is_none_fails_alone(colour):
    def body(doors: Any) -> None:
        model = Upper()
        found = doors.batch(model, ["a", 7, "b"], return_exceptions=True)
        assert (found[0], found[2]) == ("A", "B")
        assert isinstance(found[1], InputError)
        assert [prompts for prompts, _, _ in model.seen] == [["a", "b"]]
        with pytest.raises(InputError, match="cannot be asked 7"):
            doors.batch(model, ["a", 7])
        assert len(model.seen) == 1

    colour.run(body)


@every_colour
def test_runs_of_a_batch_stand_below_those_of_their_chains(colour):
    class Chains(Told):
        def __init__(self) -> None:
            super().__init__()
            self.chains: list[Any] = []
            self.parents: list[Any] = []

        def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: Any, **kw: Any) -> None:
            self.chains.append(run_id)

        def on_llm_start(self, *args: Any, parent_run_id: Any, **kw: Any) -> None:
            self.parents.append(parent_run_id)
            super().on_llm_start(*args, **kw)

    def body(doors: Any) -> None:
        told = Chains()
        chain = PromptTemplate.from_template("say {x}") | Upper()
        doors.batch(chain, [{"x": "a"}, {"x": "b"}], {"callbacks": [told]})
        assert len(set(told.parents)) == len(told.parents) == 2
        assert set(told.parents) <= set(told.chains)
        assert told.sizes == [2, 2]
        assert len(told.ends) == 2

    colour.run(body)


@every_colour
def test_too_few_answers_are_refused(colour):
    class Short(BaseLLM):
        def _generate(self, prompts: Any, *args: Any, **kw: Any) -> Any:
            return LLMResult(generations=[[Generation("only one")]])

    def body(doors: Any) -> None:
        with pytest.raises(ModelError, match="was asked 2 prompts at once and gave 1 answers"):
            doors.batch(Short(), ["a", "b"])

    colour.run(body)


@every_colour
def test_a_batch_of_ones_own_stays(colour):
    class Own(Upper):
        def batch(self, inputs: Any, config: Any = None, **kw: Any) -> Any:
            return ["own"] * len(inputs)

        async def abatch(self, inputs: Any, config: Any = None, **kw: Any) -> Any:
            return ["own"] * len(inputs)

    def body(doors: Any) -> None:
        assert doors.batch(Own(), ["a", "b"]) == ["own", "own"]

    colour.run(body)


def generate(doors: Any, model: Any, *args: Any, **kw: Any) -> LLMResult:
    if doors.asynchronous:
        return doors.wait(model.agenerate(*args, **kw))
    return model.generate(*args, **kw)


@every_colour
@pytest.mark.parametrize("kind", KINDS)
def test_generate_gives_all_candidates(colour, kind):
    def body(doors: Any) -> None:
        model, told = kind(), Told()
        result = generate(doors, model, ["a", "b"], stop=["x"], callbacks=[told], tags=["t"], k=1)
        texts = [[one.text for one in each] for each in result.generations]
        assert texts == [["A", "a"], ["B", "b"]]
        assert result.llm_output == {"token_usage": {"n": 1}, "model": "u"}
        assert model.seen == [(["a", "b"], ["x"], {"k": 1})]
        assert [info.run_id for info in result.run] == [run for run, _ in told.starts]

    colour.run(body)


@every_colour
def test_generate_of_a_model_of_one_function(colour):
    class One(LLM):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
            return prompt + "!"

    def body(doors: Any) -> None:
        result = generate(doors, One(), ["a", "b"])
        assert [each[0].text for each in result.generations] == ["a!", "b!"]
        with pytest.raises(InputError, match="give a list with one prompt each"):
            generate(doors, One(), "ab")

    colour.run(body)


def test_generate_prompt():
    prompt = PromptTemplate.from_template("{x}").invoke({"x": "a"})
    assert Upper().generate_prompt([prompt]).generations[0][0].text == "A"
    result = asyncio.run(Upper().agenerate_prompt([prompt]))
    assert result.generations[0][0].text == "A"


# ---- beside langchain-core ----------------------------------------------------------------------


def seen(event: dict[str, Any], names: dict[Any, str]) -> Any:
    data = dict(event["data"])
    for key, value in data.items():
        if key == "output" and isinstance(value, dict) and "generations" in value:
            value = [[one["text"] for one in each] for each in value["generations"]]
        elif key == "output" and hasattr(value, "generations"):
            value = [[one.text for one in each] for each in value.generations]
        elif hasattr(value, "text"):
            value = value.text
        elif key == "input" and isinstance(value, dict) and "prompts" in value:
            value = value["prompts"]
        data[key] = value
    return event["event"], event["name"], names.setdefault(event["run_id"], str(len(names))), data


async def all_events(model: Any, **kw: Any) -> list[Any]:
    names: dict[Any, str] = {}
    return [seen(event, names) async for event in model.astream_events("q", version="v2", **kw)]


def streaming(base: Any, chunk: Any) -> Any:
    class Model(base):
        @property
        def _llm_type(self) -> str:
            return "m"

        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> str:
            return "abc"

        def _stream(self, prompt: str, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
            for text in "abc":
                made = chunk(text=text)
                if run_manager is not None:
                    run_manager.on_llm_new_token(text, chunk=made)
                yield made

    return Model()


async def test_events_are_those_of_langchain():
    import langchain_core.language_models as lc
    from langchain_core.outputs import GenerationChunk as Theirs

    for ours, theirs in (
        (FakeListLLM(responses=["abc"]), lc.FakeListLLM(responses=["abc"])),
        (streaming(LLM, GenerationChunk), streaming(lc.LLM, Theirs)),
    ):
        told = await all_events(ours)
        assert told == await all_events(theirs)
        assert (told[0][0], told[-1][0]) == ("on_llm_start", "on_llm_end")


async def test_doors_give_what_langchains_give():
    import langchain_core.language_models.llms as lc
    from langchain_core.outputs import Generation as G
    from langchain_core.outputs import GenerationChunk as C
    from langchain_core.outputs import LLMResult as R

    def bodies(base: Any, generation: Any, chunk: Any, result: Any) -> Any:
        class Model(base):
            seen: list[Any] = []  # noqa: RUF012

            @property
            def _llm_type(self) -> str:
                return "m"

            def _generate(self, prompts: Any, stop: Any = None, run_manager: Any = None,
                          **kw: Any) -> Any:  # fmt: skip
                self.seen.append((list(prompts), stop))
                return result(generations=[[generation(text=p * 2)] for p in prompts])

            def _stream(self, prompt: Any, stop: Any = None, run_manager: Any = None,
                        **kw: Any) -> Any:  # fmt: skip
                for _ in range(2):
                    yield chunk(text=prompt)

        return Model()

    async def all_doors(model: Any) -> Any:
        return [
            model.invoke("ab"),
            model.batch(["a", "b"], stop=["s"]),
            await model.abatch(["a", "b", "c"], {"max_concurrency": 2}),
            list(model.stream("ab")),
            [chunk async for chunk in model.astream("ab")],
            [each[0].text for each in model.generate(["x", "y"], stop=["s"]).generations],
            [each[0].text for each in (await model.agenerate(["x", "y"])).generations],
            model.seen,
        ]

    ours = await all_doors(bodies(BaseLLM, Generation, GenerationChunk, LLMResult))
    assert ours == await all_doors(bodies(lc.BaseLLM, G, C, R))


def test_what_identifies_it():
    assert FakeListLLM(responses=["a"]).asdict() == {"responses": ["a"], "_type": "fake-list"}


async def test_the_end_of_a_text_model_tells_its_llm_output_as_langchains_does() -> None:
    import langchain_core.language_models.llms as lc
    import langchain_core.outputs as theirs

    class Theirs(lc.BaseLLM):
        @property
        def _llm_type(self) -> str:
            return "m"

        def _generate(self, prompts: Any, stop: Any = None, run_manager: Any = None,
                      **kw: Any) -> Any:  # fmt: skip
            answers = [[theirs.Generation(text=p.upper())] for p in prompts]
            told = {"token_usage": {"n": 1}, "model": "u"}
            return theirs.LLMResult(generations=answers, llm_output=told)

    ends = []
    for model in (Upper(), Theirs()):
        events: list[Any] = [event async for event in model.astream_events("q", version="v2")]
        ends.append(events[-1]["data"]["output"]["llm_output"])
    assert ends[0] == ends[1] == {"token_usage": {"n": 1}, "model": "u"}
