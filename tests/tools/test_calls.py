"""What a tool gives for each kind of input, in every colour; what goes wrong, as sentences."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from headrace.errors import AsyncOnlyError, ConfigError, HeadraceError
from headrace.messages import AIMessage, ToolMessage
from headrace.run import RunCallbacks
from headrace.runnables import RunnableConfig, RunnableLambda
from headrace.tools import (
    BaseTool,
    InjectedToolArg,
    SchemaAnnotationError,
    StructuredTool,
    Tool,
    ToolArgumentsError,
    ToolException,
    ToolSchemaError,
    tool,
)
from laws.colours import ASYNC, every_colour

HERE = threading.get_ident()
PLACE: ContextVar[str] = ContextVar("PLACE", default="nowhere")


def call(args, id="c1", name="anything"):
    return {"type": "tool_call", "id": id, "name": name, "args": args}


@tool
def multiply(a: int, b: int = 2) -> int:
    """Multiply two numbers."""
    return a * b


@tool
async def amultiply(a: int, b: int = 2) -> int:
    """Multiply two numbers."""
    await asyncio.sleep(0)
    return a * b


class Multiplier(BaseTool):
    name: str = "multiply"
    description: str = "Multiply two numbers."
    factor: int = 1

    def _run(self, a: int, b: int = 2) -> int:
        return a * b * self.factor


class BothMultiplier(Multiplier):
    async def _arun(self, a: int, b: int = 2) -> int:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is not None
        return self._run(a, b)


class Args(BaseModel):
    a: int
    b: int = 2


class Loose(BaseTool):
    name: str = "multiply"
    description: str = "Multiply two numbers."
    args_schema: type[BaseModel] = Args

    def _run(self, *args, **kwargs):
        return kwargs["a"] * kwargs["b"]


def product(a: int, b: int = 2) -> int:
    return a * b


async def aproduct(a: int, b: int = 2) -> int:
    return a * b


KINDS = {
    "decorated": lambda: multiply,
    "class": Multiplier,
    "class-both": BothMultiplier,
    "class-schema": Loose,
    "from-function": lambda: StructuredTool.from_function(
        product, aproduct, name="multiply", description="Multiply."
    ),
    "no-schema": lambda: StructuredTool.from_function(
        product, name="multiply", description="Multiply.", infer_schema=False
    ),
    "json-schema": lambda: tool("multiply", description="Multiply.", args_schema=Args)(product),
}
kinds = pytest.mark.parametrize("kind", KINDS)


@every_colour
@kinds
def test_a_string_a_dict_and_a_tool_call(colour, kind):
    made = KINDS[kind]()

    def body(doors):
        assert doors.invoke(made, {"a": 3}) == 6
        assert doors.invoke(made, {"a": "3", "b": 5}) == 15
        assert doors.invoke(made, "7") == 14
        assert doors.stream(made, {"a": 3}) == [6]
        assert doors.batch(made, [{"a": 3}, "4"]) == [6, 8]
        assert doors.transform(made, ["1", "2"]) == [24]
        answer = doors.invoke(made, call({"a": 3}))
        assert answer == ToolMessage("6", tool_call_id="c1", name="multiply")
        assert answer.status == "success"
        assert doors.invoke(made, call({"a": 3}, id=None)) == 6

    colour.run(body)


@every_colour
@kinds
def test_arguments_are_checked_before_the_body_runs(colour, kind):
    made = KINDS[kind]()

    def body(doors):
        with pytest.raises(ValidationError) as caught:
            doors.invoke(made, {"b": "many"})
        assert [each["loc"] for each in caught.value.errors()] == [("a",), ("b",)]
        note = caught.value.__notes__[0]
        assert "Tool 'multiply' has not run" in note
        assert "argument 'a' is missing" in note
        assert "argument 'b' is 'many': Input should be a valid integer" in note
        with pytest.raises(ValidationError):
            doors.invoke(made, 5)

    colour.run(body)


@every_colour
def test_unknown_arguments_of_a_class_without_a_schema(colour):
    def body(doors):
        with pytest.raises(ToolArgumentsError, match=r"no argument 'c' \(its arguments: \['a', "):
            doors.invoke(Multiplier(), {"a": 1, "c": 2})
        assert doors.invoke(multiply, {"a": 1, "c": 2}) == 2

    colour.run(body)


def test_a_call_without_arguments_and_one_of_a_message():
    with pytest.raises(ToolArgumentsError, match="has no 'args'"):
        multiply.invoke({"type": "tool_call", "id": "c1", "name": "multiply"})
    asked = AIMessage("", tool_calls=[{"name": "multiply", "args": {"a": 4}, "id": "c9"}])
    assert multiply.invoke(asked.tool_calls[0]).tool_call_id == "c9"


@every_colour
def test_async_only(colour):
    class Waits(BaseTool):
        name: str = "waits"
        description: str = "Waits."

        async def _arun(self, a: int) -> int:
            return a + 1

    def body(doors):
        for made, value, result in ((amultiply, {"a": 3}, 6), (Waits(), {"a": 3}, 4)):
            for runnable in (made, made | RunnableLambda(str)):
                if colour is ASYNC:
                    assert str(doors.invoke(runnable, value)) == str(result)
                else:
                    with pytest.raises(AsyncOnlyError, match="can only run async"):
                        doors.invoke(runnable, value)

    colour.run(body)


async def test_a_sync_body_of_an_async_run_is_in_a_thread_with_context():
    @tool
    def where() -> tuple[int, str]:
        """Where it runs."""
        return threading.get_ident(), PLACE.get()

    token = PLACE.set("here")
    try:
        thread, place = await where.ainvoke({})
    finally:
        PLACE.reset(token)
    assert (thread != threading.get_ident(), place) == (True, "here")


@every_colour
def test_what_a_run_fills_in(colour):
    @tool
    def plain(a: int, config: RunnableConfig, run_manager=None, callbacks=None) -> str:
        """All three."""
        assert isinstance(run_manager, RunCallbacks)
        assert isinstance(callbacks, RunCallbacks)
        return f"{a} {config['configurable']['user']}"

    @tool
    def maybe(a: int, settings: RunnableConfig | None = None) -> str:
        """By annotation, whatever its name."""
        return f"{a} {settings['configurable']['user']}"

    class Own(BaseTool):
        name: str = "own"
        description: str = "d"

        def _run(self, a: int, config: RunnableConfig, run_manager=None) -> str:
            assert run_manager.get_sync().get_child() is not None
            return f"{a} {config['configurable']['user']}"

    class Around(StructuredTool):
        def _run(self, *args, config: RunnableConfig, **kwargs):
            return super()._run(*args, config=config, **kwargs).upper()

    def body(doors):
        given = {"configurable": {"user": "me"}}
        around = Around(name="around", func=maybe.func, args_schema=maybe.args_schema)
        assert doors.invoke(around, {"a": 1}, given) == "1 ME"
        for made in (plain, maybe, Own()):
            assert list(made.args) == ["a"]
            assert doors.invoke(made, {"a": 1}, given) == "1 me"

    colour.run(body)


@every_colour
def test_all_kinds_of_parameters(colour):
    @tool
    def kinds(first: int, /, second: int, *rest: int, key: str = "k", **more: int) -> list:
        """Each kind."""
        return [first, second, rest, key, more]

    @tool
    def clashing(self: int, function: int, copy: int, schema: str = "s", args: str = "a") -> list:
        """Names that others use, too."""
        return [self, function, copy, schema, args]

    class Open(BaseTool):
        name: str = "open"
        description: str = "d"

        def _run(self, a, *args, **kwargs):
            return [a, args, kwargs]

    def body(doors):
        given = {"first": "1", "second": 2, "rest": ["3", 4], "more": {"m": "5"}}
        assert doors.invoke(kinds, given) == [1, 2, (3, 4), "k", {"m": 5}]
        assert doors.invoke(kinds, {"first": 1, "second": 2}) == [1, 2, (), "k", {}]
        assert doors.invoke(clashing, {"self": 1, "function": 2, "copy": 3}) == [1, 2, 3, "s", "a"]
        assert doors.invoke(Open(), {"a": 1, "z": 2}) == [1, (), {"z": 2}]

    colour.run(body)


class Point(BaseModel):
    x: int


def test_models_arrive_as_models():
    @tool
    def far(points: list[Point]) -> int:
        """How far."""
        return sum(point.x for point in points)

    assert far.invoke({"points": [{"x": "1"}, Point(x=2)]}) == 3


# ---- results ------------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize(
    ("returned", "content"),
    [
        ("text", "text"),
        ({"ä": 1}, '{"ä": 1}'),
        ([1, "b"], '[1, "b"]'),
        (["a", "b"], ["a", "b"]),
        (({"type": "text", "text": "t"},), [{"type": "text", "text": "t"}]),
        ([{"type": "no-block"}], '[{"type": "no-block"}]'),
        (None, "null"),
        (HERE.__class__, "<class 'int'>"),
    ],
    ids=str,
)
def test_what_a_message_holds(colour, returned, content):
    @tool
    def give() -> object:
        """Give it."""
        return returned

    def body(doors):
        assert doors.invoke(give, {}) is returned
        assert doors.invoke(give, call({})).content == content

    colour.run(body)


def test_a_body_may_answer_with_messages_of_its_own():
    own = ToolMessage("mine", tool_call_id="other")

    @tool
    def give(many: bool) -> object:
        """Give it."""
        return [own, own] if many else own

    assert give.invoke(call({"many": False})) is own
    assert give.invoke(call({"many": True})) == [own, own]


@every_colour
def test_content_and_artifact(colour):
    @tool(response_format="content_and_artifact")
    def both(a: int) -> object:
        """Both."""
        return (f"{a} found", [a]) if a > 0 else "only text"

    def body(doors):
        assert doors.invoke(both, {"a": 1}) == "1 found"
        answer = doors.invoke(both, call({"a": 1}))
        assert (answer.content, answer.artifact) == ("1 found", [1])
        with pytest.raises(ValueError, match=r"'both'.* returned 'only text' \(str\)"):
            doors.invoke(both, {"a": 0})

    colour.run(body)


# ---- failures -----------------------------------------------------------------------------------


@every_colour
@pytest.mark.parametrize(
    ("handler", "text"),
    [(True, "no stock"), ("try later", "try later"), (lambda error: f"<{error}>", "<no stock>")],
)
def test_handled_tool_errors(colour, handler, text):
    @tool(handle_tool_error=handler)
    def buy(a: int) -> None:
        """Buy."""
        raise ToolException("no stock")

    def body(doors):
        assert doors.invoke(buy, {"a": 1}) == text
        answer = doors.invoke(buy, call({"a": 1}))
        assert (answer.content, answer.status) == (text, "error")
        with pytest.raises(ValidationError):
            doors.invoke(buy, {})

    colour.run(body)


@every_colour
@pytest.mark.parametrize("handler", [True, "bad", lambda error: f"{error.error_count()} bad"])
def test_handled_arguments(colour, handler):
    @tool(handle_validation_error=handler)
    def buy(a: int) -> None:
        """Buy."""
        raise ToolException("no stock")

    def body(doors):
        answer = doors.invoke(buy, call({}))
        wanted = {True: "Tool input validation error", "bad": "bad"}.get(handler, "1 bad")
        assert (answer.content, answer.status) == (wanted, "error")
        with pytest.raises(ToolException, match="no stock"):
            doors.invoke(buy, {"a": 1})

    colour.run(body)


@every_colour
def test_an_error_of_the_body_comes_out_as_it_is(colour):
    failure = OSError("disk")

    @tool(handle_tool_error=True, handle_validation_error=True)
    def write(a: int) -> None:
        """Write."""
        raise failure

    def body(doors):
        with pytest.raises(OSError, match="disk") as caught:
            doors.invoke(write | RunnableLambda(str), {"a": 1})
        assert caught.value is failure

    colour.run(body)


async def test_a_cancelled_tool_is_not_handled_and_its_thread_has_ended():
    begun, go, ended = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    @tool(handle_tool_error=True)
    def slow() -> None:
        """Slow."""
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(5)
        ended.append(True)

    task = asyncio.ensure_future(slow.ainvoke({}))
    await begun.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not task.done()  # it waits for the thread
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


# ---- making tools -------------------------------------------------------------------------------


def test_the_decorator_in_all_its_forms():
    def add(a: int, b: int) -> int:
        """Add.

        Two numbers.
        """
        return a + b

    forms = {
        "bare": tool(add),
        "called": tool()(add),
        "named": tool("add")(add),
        "fields": tool(return_direct=True, tags=["t"], metadata={"k": 1}, extras={"e": 2})(add),
    }
    for made in forms.values():
        assert isinstance(made, StructuredTool)
        assert (made.name, made.description) == ("add", "Add.\n\nTwo numbers.")
        assert made.invoke({"a": 1, "b": 2}) == 3
        assert made.func is add
        assert list(made.args) == ["a", "b"]
    assert forms["fields"].return_direct
    assert (forms["fields"].tags, forms["fields"].extras) == (["t"], {"e": 2})
    assert tool("plus", description=" Plus. ")(add).description == "Plus."
    assert tool("plus")(add).name == "plus"
    assert isinstance(amultiply, StructuredTool)
    assert (amultiply.func, amultiply.name) == (None, "amultiply")


def test_the_description_may_be_the_schemas():
    class Documented(BaseModel):
        """Told by the schema."""

        a: int = Field(description="A number.")

    def bare(a):
        return a

    made = tool(args_schema=Documented)(bare)
    assert made.description == "Told by the schema."
    assert made.args == {"a": {"description": "A number.", "title": "A", "type": "integer"}}
    given = {"description": "By JSON.", "properties": {"a": {}}, "required": ["a"]}
    made = tool(args_schema=given)(bare)
    assert (made.description, made.args) == ("By JSON.", {"a": {}})
    assert made.invoke({"a": 1}) == 1
    with pytest.raises(ToolArgumentsError, match=r"'bare' has not run: 'a' is a required prop"):
        made.invoke({})
    with pytest.raises(ToolArgumentsError, match="takes a dict of arguments; received 'x'"):
        made.invoke("x")


CLOSED = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/City"}, "days": {"type": "integer", "maximum": 7}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"City": {"type": "string", "minLength": 2}},
}


@every_colour
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"city": "Oslo", "days": 9}, "at days: 9 is greater than the maximum of 7 (maximum)."),
        ({"city": ["Oslo"]}, "at city: ['Oslo'] is not of type 'string' (type)."),
        ({"city": "O"}, "at city: 'O' is too short (minLength)."),
        ({"days": 1}, "'city' is a required property (required)."),
        ({"city": "Oslo", "x": 1}, "('x' was unexpected) (additionalProperties)."),
    ],
)
def test_arguments_are_checked_by_a_json_schema(colour: Any, given: Any, said: str):
    def weather(city: str, days: int = 1, user: Annotated[str, InjectedToolArg] = "") -> str:
        return f"{city} {days} {user}"

    made = tool(args_schema=CLOSED, description="Tell.")(weather)
    call = {"type": "tool_call", "id": "1", "name": "weather", "args": given}
    soft = made.model_copy(update={"handle_validation_error": True})

    def body(doors: Any) -> None:
        with pytest.raises(ToolArgumentsError) as caught:
            doors.invoke(made, given)
        assert str(caught.value).startswith("Tool 'weather' has not run: ")
        assert str(caught.value).endswith(said)
        assert doors.invoke(soft, call).status == "error"
        # what is injected is no argument of the schema
        assert doors.invoke(made, {"city": "Oslo", "user": "Ada"}) == "Oslo 1 Ada"

    colour.run(body)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "objekt"}, "cannot be used. This is no JSON schema: at type: 'objekt'"),
        ({"properties": {"a": {"$ref": "#/$defs/gone"}}}, "not found in the schema"),
        (
            {"properties": {"a": {"$ref": "https://example.com/a"}}},
            "example.com/a' is none",
        ),
    ],
)
def test_what_is_no_json_schema_is_refused_when_a_tool_is_made(given: Any, words: str):
    with pytest.raises(ToolSchemaError, match=words):
        tool(args_schema=given, description="D.")(lambda a: a)


def test_a_tool_of_one_text():
    @tool(infer_schema=False)
    def shout(text: str) -> str:
        """Shout."""
        return text.upper()

    assert isinstance(shout, Tool)
    assert shout.args == {"tool_input": {"type": "string"}}
    assert shout.is_single_input
    assert shout.invoke("a") == shout.invoke({"whatever": "a"}) == "A"
    with pytest.raises(ToolException, match="takes one argument and was given 2"):
        shout.invoke({"a": "a", "b": "b"})
    assert Tool("shout", str.upper, "Shout.").invoke("a") == "A"


def unreadable(a: Nowhere):  # noqa: F821
    """Its annotation names nothing."""


def undocumented(a: int) -> int:
    return a


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: tool(undocumented), "Tool 'undocumented' has no description"),
        (lambda: tool(unreadable), "'Nowhere' of the argument 'a' names what is not to be found"),
        (lambda: tool(5), "received 5"),
        (lambda: tool("n")("m"), "received 'm'"),
        (lambda: StructuredTool.from_function(), "give func, coroutine or both"),
        (lambda: tool(args_schema=int)(undocumented), "received <class 'int'>"),
        (lambda: BaseTool(name="n", description="d"), "has no body"),
        (lambda: StructuredTool.from_function(3), "func of a tool is a function; received 3"),
    ],
)
def test_what_is_no_tool_is_refused(make, sentence):
    with pytest.raises(ConfigError) as caught:
        make()
    assert sentence in str(caught.value)


def test_unknown_fields_and_a_wrong_annotation_are_refused():
    with pytest.raises(ValidationError, match="retrun_direct"):
        tool("p", description="d", retrun_direct=True)(product)
    with pytest.raises(SchemaAnnotationError, match=r"write `args_schema: type\[BaseModel\]"):

        class Wrong(BaseTool):
            args_schema: BaseModel = Args

    assert issubclass(ToolException, HeadraceError)


@every_colour
def test_the_older_doors(colour):
    def body(doors):
        if colour is ASYNC:
            assert doors.wait(multiply.arun({"a": 3})) == 6
            assert doors.wait(multiply.arun({"a": 3}, tool_call_id="c")).tool_call_id == "c"
        else:
            assert multiply.run({"a": 3}, tags=["t"]) == 6
            assert multiply.run("3", tool_call_id="c").tool_call_id == "c"

    colour.run(body)


@pytest.mark.parametrize("kind", [Tool, StructuredTool])
def test_a_tool_needs_a_function(kind):
    with pytest.raises(ConfigError, match=r"Tool 't' has no function: .* give func, coroutine"):
        kind(name="t", func=None, description="D.", args_schema={"type": "object"})

    class Own(kind):
        def _run(self, *args, **kwargs):
            return "mine"

    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    own = Own(name="t", description="D.", args_schema=schema)
    assert own.invoke({"x": "a"}) == "mine"
