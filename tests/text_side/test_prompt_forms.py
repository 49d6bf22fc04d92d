"""Prompts in every form that is documented, against LangChain, and what a template may not do.

A program is written once for both libraries: `lib.prompts` and `lib.messages` are theirs or ours.
"""

from __future__ import annotations

import copy
import importlib
import os
import pickle
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace.errors import ConfigError, InputError, MissingVariablesError
from headrace.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from headrace.outputs import ChatGenerationChunk
from headrace.prompts import (
    AIMessagePromptTemplate,
    ChatPromptTemplate,
    HumanMessagePromptTemplate,
    ImagePromptTemplate,
    MessagesPlaceholder,
    PipelinePromptTemplate,
    PromptTemplate,
    StructuredPrompt,
    SystemMessagePromptTemplate,
)
from headrace.runnables import AddableDict
from laws.colours import every_colour
from text_side.kit import Counting
from text_side.twin import plains


def library(package: str) -> Any:
    return SimpleNamespace(
        prompts=importlib.import_module(f"{package}.prompts"),
        messages=importlib.import_module(f"{package}.messages"),
    )


OURS, THEIRS = library("headrace"), library("langchain_core")

HISTORY = [("human", "q"), ("ai", "a")]
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/{x}.png"}}


def forms(lib: Any) -> dict[str, Any]:
    """Every way to write one entry of `from_messages`."""
    p, m = lib.prompts, lib.messages
    return {
        "message": m.HumanMessage("x is {x}, literally"),
        "template": p.HumanMessagePromptTemplate.from_template("x is {x}"),
        "pair": ("human", "x is {x}"),
        "pair user": ("user", "x is {x}"),
        "pair ai": ("ai", "x is {x}"),
        "pair assistant": ("assistant", "x is {x}"),
        "pair system": ("system", "x is {x}"),
        "class": (m.AIMessage, "x is {x}"),
        "class system": (m.SystemMessage, "x is {x}"),
        "template class": (p.AIMessagePromptTemplate, "x is {x}"),
        "string": "x is {x}",
        "dict": {"role": "user", "content": "x is {x}"},
        "dict system": {"role": "system", "content": "x is {x}"},
        "placeholder": ("placeholder", "{history}"),
        "placeholder optional": ("placeholder", ["{other}", True]),
        "placeholder required": ("placeholder", ["{history}", False]),
        "MessagesPlaceholder": p.MessagesPlaceholder("history"),
        "MessagesPlaceholder n": p.MessagesPlaceholder("history", n_messages=1),
        "MessagesPlaceholder optional": p.MessagesPlaceholder("other", optional=True),
        "blocks": ("human", [{"type": "text", "text": "x is {x}"}]),
        "blocks image": ("human", ["see {x}", IMAGE]),
        "blocks image string": ("human", [{"type": "image_url", "image_url": "https://a/{x}"}]),
        "blocks detail": (
            "human",
            [{"type": "image_url", "image_url": {"url": "https://a/{x}", "detail": "low"}}],
        ),
        "blocks system": ("system", [{"type": "text", "text": "x is {x}"}]),
        "blocks other": (
            "human",
            [{"type": "image", "source_type": "url", "url": "https://a/{x}"}],
        ),
        "chat message": p.ChatMessagePromptTemplate.from_template("x is {x}", role="king"),
        "another prompt": p.ChatPromptTemplate.from_messages([("system", "s {x}"), ("ai", "y")]),
        "escaped": ("human", '{{"k": {x}}}'),
        "format spec": ("human", "{x!r:>9}"),
    }


NAMES = list(forms(OURS))


@pytest.mark.parametrize("name", NAMES)
def test_a_form_gives_what_langchain_gives(name):
    given_ = {"x": "7", "history": HISTORY}
    got = []
    for lib in (OURS, THEIRS):
        prompt = lib.prompts.ChatPromptTemplate.from_messages([("system", "S"), forms(lib)[name]])
        got.append(
            (
                plains(prompt.invoke(given_).to_messages()),
                sorted(prompt.input_variables),
                sorted(prompt.optional_variables),
            )
        )
    assert got[0] == got[1]


@given(st.lists(st.sampled_from(NAMES), max_size=4), st.text(max_size=5))
def test_any_mix_of_forms_gives_what_langchain_gives(names, x):
    given_ = {"x": x, "history": HISTORY}
    got = []
    for lib in (OURS, THEIRS):
        table = forms(lib)
        prompt = lib.prompts.ChatPromptTemplate.from_messages([table[name] for name in names])
        value = prompt.invoke(given_)
        # Which of them are optional differs where a name is both (a row of docs/differences.md).
        named = {*prompt.input_variables, *prompt.optional_variables}
        got.append((plains(value.to_messages()), value.to_string(), named))
    assert got[0] == got[1]


@every_colour
def test_every_door_gives_the_same(colour):
    prompt = ChatPromptTemplate.from_messages(
        [("system", "{x}"), MessagesPlaceholder("history"), ("human", "{y}")]
    )
    given_ = {"x": "X", "y": "Y", "history": HISTORY}
    wanted = [SystemMessage("X"), HumanMessage("q"), AIMessage("a"), HumanMessage("Y")]

    def body(doors):
        assert doors.invoke(prompt, given_).to_messages() == wanted
        (value,) = doors.stream(prompt, given_)
        assert value.to_messages() == wanted
        assert [v.to_messages() for v in doors.batch(prompt, [given_, given_])] == [wanted] * 2
        if doors.asynchronous:
            assert doors.wait(prompt.aformat_messages(**given_)) == wanted
            assert doors.wait(prompt.aformat_prompt(**given_)).to_messages() == wanted
        # A stream of dicts is added up first.
        pieces = [AddableDict(piece) for piece in ({"x": "X"}, {"y": "Y"}, {"history": HISTORY})]
        (value,) = doors.transform(prompt, pieces)
        assert value.to_messages() == wanted

    colour.run(body)


# ---- partial, +, append, extend, slices ---------------------------------------------------------


def texts(prompt: Any, **given_: Any) -> list[Any]:
    return [(m.type, m.content) for m in prompt.format_messages(**given_)]


def test_partial():
    prompt = ChatPromptTemplate.from_messages([("system", "{a}"), ("human", "{b}{c}")])
    half = prompt.partial(a="A", c=lambda: "C")
    assert half.input_variables == ["b"]
    assert texts(half, b="B") == [("system", "A"), ("human", "BC")]
    assert texts(half, b="B", a="Z")[0] == ("system", "Z")
    assert prompt.partial_variables == {}
    counter = iter(range(9))
    counting = PromptTemplate.from_template("{n}").partial(n=lambda: str(next(counter)))
    assert [counting.format(), counting.format()] == ["0", "1"]
    assert PromptTemplate.from_template("{a}{b}", partial_variables={"a": "1"}).format(b=2) == "12"
    placeholder = ChatPromptTemplate.from_messages([MessagesPlaceholder("h")]).partial(
        h=[HumanMessage("x")]
    )
    assert texts(placeholder) == [("human", "x")]


def test_plus():
    system = ChatPromptTemplate.from_messages([("system", "{a}")])
    assert texts(system + "hi {b}", a=1, b=2) == [("system", "1"), ("human", "hi 2")]
    assert texts(system + HumanMessage("{b}"), a=1)[1] == ("human", "{b}")
    more = [("ai", "{b}")]
    assert texts(system.__add__(more), a=1, b=2)[1] == ("ai", "2")
    assert texts(system + system.partial(a="9"), a=1) == [("system", "1")] * 2
    assert texts(SystemMessage("S") + HumanMessagePromptTemplate.from_template("{b}"), b=1) == [
        ("system", "S"),
        ("human", "1"),
    ]
    assert texts(SystemMessage("S") + HumanMessage("h") + "{x}", x=1)[2] == ("human", "1")
    joined = PromptTemplate.from_template("{a} ") + PromptTemplate.from_template("{b}") + " {c}"
    assert joined.format(a=1, b=2, c=3) == "1 2 3"
    assert sorted(joined.input_variables) == ["a", "b", "c"]
    with pytest.raises((TypeError, ValueError)):
        system + 7
    with pytest.raises(ValueError, match="format"):
        PromptTemplate.from_template("{a}") + PromptTemplate.from_template(
            "{{b}}", template_format="mustache"
        )


def test_append_and_extend_ask_for_what_they_add():
    prompt = ChatPromptTemplate.from_messages([("system", "{a}")])
    prompt.append(("human", "{b}"))
    prompt.append("{c}")
    prompt.extend([AIMessage("{d}"), MessagesPlaceholder("h", optional=True), ("ai", "{e}")])
    assert sorted(prompt.input_variables) == ["a", "b", "c", "e"]
    assert texts(prompt, a=1, b=2, c=3, e=5) == [
        ("system", "1"), ("human", "2"), ("human", "3"), ("ai", "{d}"), ("ai", "5"),
    ]  # fmt: skip
    with pytest.raises(MissingVariablesError, match="e"):
        prompt.invoke({"a": 1, "b": 2, "c": 3})


def test_slices_and_length():
    prompt = ChatPromptTemplate.from_messages(["{a}", "{b}", "{c}"])
    assert len(prompt) == 3
    assert texts(prompt[1:], b=2, c=3) == [("human", "2"), ("human", "3")]
    assert isinstance(prompt[0], HumanMessagePromptTemplate)


# ---- placeholders -------------------------------------------------------------------------------


def test_placeholders():
    needed = ChatPromptTemplate.from_messages([MessagesPlaceholder("history")])
    with pytest.raises(MissingVariablesError, match="history"):
        needed.invoke({})
    assert ChatPromptTemplate([MessagesPlaceholder("h", optional=True)]).invoke({}).messages == []
    last = ChatPromptTemplate.from_messages([MessagesPlaceholder("h", n_messages=2)])
    given_ = [("human", "1"), {"role": "assistant", "content": "2"}, HumanMessage("3")]
    assert texts(last, h=given_) == [("ai", "2"), ("human", "3")]
    for bad in ("a string", 7, [7], None, {"a": 1}):
        with pytest.raises(ValueError, match="h"):
            last.invoke({"h": bad})
    with pytest.raises(ValueError, match="n_messages"):
        MessagesPlaceholder("h", n_messages=0)


def test_braces_in_values_are_text():
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("h"), ("human", "{x}")])
    got = texts(prompt, h=[HumanMessage("{secret}")], x="{y} {{z}} {0.__class__}")
    assert [content for _, content in got] == ["{secret}", "{y} {{z}} {0.__class__}"]


# ---- missing and extra --------------------------------------------------------------------------


PROMPTS = [
    ChatPromptTemplate.from_messages([("human", "{alpha} {beta}")]),
    PromptTemplate.from_template("{alpha} {beta}"),
    ChatPromptTemplate.from_messages([("human", "{{alpha}} {{beta}}")], template_format="mustache"),
]


@every_colour
@pytest.mark.parametrize("prompt", PROMPTS, ids=["chat", "text", "mustache"])
def test_missing_and_extra_variables_are_named(colour, prompt):
    def body(doors):
        with pytest.raises(KeyError) as caught:
            doors.invoke(prompt, {"alpha": 1, "gamma": 2})
        assert isinstance(caught.value, MissingVariablesError)
        sentence = str(caught.value)
        assert "beta" in sentence
        assert "gamma" in sentence
        with pytest.raises(KeyError, match="alpha"):
            doors.stream(prompt, {})

    colour.run(body)


def test_one_variable_may_be_given_bare():
    prompt = ChatPromptTemplate.from_template("say {x}")
    assert prompt.invoke("hi").to_messages() == [HumanMessage("say hi")]
    with pytest.raises((TypeError, ValueError), match="dict"):
        PROMPTS[0].invoke("hi")
    with pytest.raises((TypeError, ValueError)):
        PROMPTS[0].invoke(["alpha", "beta"])


def test_extra_variables_do_no_harm():
    assert PROMPTS[1].invoke({"alpha": 1, "beta": 2, "gamma": 3}).to_string() == "1 2"


def test_declared_variables_can_be_checked():
    for declared in (["alpha"], ["alpha", "beta", "gamma"]):
        with pytest.raises(ValueError, match=r"beta|gamma"):
            PromptTemplate(
                template="{alpha} {beta}", input_variables=declared, validate_template=True
            )


@pytest.mark.parametrize("bad", [
    "{", "}", "{x", "x}", "{}", "{0}", "{x!}", "{x!q}", "{a{b}}", "{x:{y}}",
])  # fmt: skip
def test_malformed_templates_are_refused_when_made(bad):
    for make in (PromptTemplate.from_template, ChatPromptTemplate.from_template):
        with pytest.raises(ConfigError):
            make(bad)


@pytest.mark.parametrize("unknown", ["j2", "", "F-STRING", None])
def test_unknown_template_languages_are_refused(unknown):
    with pytest.raises(ValueError, match="template_format"):
        PromptTemplate.from_template("x", template_format=unknown)


@pytest.mark.parametrize("bad", [("king", "x"), ("human", 7), 7, ("a", "b", "c"), {"role": "user"},
                                 {"content": "x"}, None, (str, "x"),
                                 ("placeholder", "x")])  # fmt: skip
def test_what_is_no_message_is_refused(bad):
    with pytest.raises((ConfigError, InputError)) as caught:
        ChatPromptTemplate.from_messages([bad])
    assert len(str(caught.value)) > 20


# ---- f-strings leak nothing ---------------------------------------------------------------------


class Holder:
    secret = "hunter2"

    def __getitem__(self, key):
        return self.secret


LEAKS = [
    "{x.secret}",
    "{x[0]}",
    "{x[secret]}",
    "{x.__class__.__init__.__globals__}",
    "{x.__class__}",
    "{x!r:{x.secret}}",
    "{x:{x.secret}}",
    "{x.secret!r}",
    "{0.secret}",
    "{.secret}",
    "{[0]}",
    "{x .secret}",
    "{x\n.secret}",
]


@pytest.mark.parametrize("template", LEAKS)
def test_attributes_and_indexes_are_refused_everywhere(template):
    makers = [
        lambda: PromptTemplate.from_template(template),
        lambda: PromptTemplate(template=template),
        lambda: ChatPromptTemplate.from_messages([("human", template)]),
        lambda: ChatPromptTemplate.from_template(template),
        lambda: ChatPromptTemplate.from_messages([("human", [{"type": "text", "text": template}])]),
        lambda: ChatPromptTemplate.from_messages(
            [("human", [{"type": "image_url", "image_url": {"url": template}}])]
        ),
        lambda: ChatPromptTemplate.from_messages(
            [("human", [{"type": "image", "url": template, "deep": {"er": [template]}}])]
        ),
        lambda: ChatPromptTemplate.from_messages([{"role": "user", "content": template}]),
        lambda: SystemMessagePromptTemplate.from_template(template),
        lambda: AIMessagePromptTemplate.from_template(template),
        lambda: ImagePromptTemplate(template={"url": template}),
        lambda: ChatPromptTemplate.from_messages([]) + template,
        lambda: PromptTemplate.from_template("a") + template,
        lambda: PromptTemplate.from_examples([template], "s", []),
        lambda: StructuredPrompt([("human", template)], {"title": "T", "type": "object"}),
    ]
    for number, make in enumerate(makers):
        with pytest.raises(ValueError) as caught:
            shown = make().invoke({"x": Holder()})
            raise AssertionError((number, shown))
        assert "hunter2" not in str(caught.value)


def test_a_prompt_field_cannot_be_replaced_by_a_leak():
    prompt = PromptTemplate.from_template("{x}")
    try:
        prompt.template = "{x.secret}"
        shown = prompt.format(x=Holder())
    except ValueError:
        return
    assert "hunter2" not in shown


# ---- jinja2 in its sandbox ----------------------------------------------------------------------

ESCAPES = [
    "{{ x.__class__ }}",
    "{{ x.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__ }}",
    "{{ x|attr('__class__') }}",
    "{{ x['__class__'] }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].system('touch pwned') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ '%s'.__mod__.__self__ }}",
    "{{ x.method.__globals__ }}",
    "{{ x.method.__func__ }}",
    "{% set y = x.items.append(1) %}{{ y }}",
    "{{ x.items.pop() }}",
    "{{ x.d.update({'a': 1}) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(x) }}",
    "{{ ('{0.__cla' ~ 'ss__}').format(x) }}",
    "{{ '{a.__class__}'.format_map({'a': x}) }}",
    "{{ ['{0.__class__}']|map('format', x)|list }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{{ range(10**9)|list|length }}",
]


class Victim:
    def __init__(self) -> None:
        self.items = [1]
        self.d: dict[str, int] = {}

    def method(self) -> None:
        pass

    def __str__(self) -> str:
        return "victim"


@pytest.mark.parametrize("template", ESCAPES)
def test_jinja2_cannot_leave_its_sandbox(template, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    victim = Victim()
    makers = (
        lambda: PromptTemplate.from_template(template, template_format="jinja2"),
        lambda: ChatPromptTemplate.from_messages([("human", template)], template_format="jinja2"),
        lambda: ChatPromptTemplate.from_messages(
            [("human", [{"type": "image", "url": template}])], template_format="jinja2"
        ),
    )
    for make in makers:
        try:
            shown = make().invoke({"x": victim}).to_string()
        except Exception as error:
            shown = str(error) if not isinstance(error, ValueError) else ""
            assert isinstance(error, ValueError), repr(error)
        for leak in ("<class", "root:", "uid=", "<module", "function", "__globals__", "0x"):
            assert leak not in shown
    assert victim.items == [1]
    assert victim.d == {}
    assert os.listdir(tmp_path) == []


def test_jinja2_does_what_templates_do():
    template = "{% for n in names if n %}{{ loop.index }}.{{ n|upper }} {% endfor %}{{ d.k }}"
    prompt = PromptTemplate.from_template(template, template_format="jinja2")
    assert sorted(prompt.input_variables) == ["d", "names"]
    assert prompt.format(names=["a", "", "b"], d={"k": 7}) == "1.A 2.B 7"
    evil = "{{ 7 * 7 }}"
    assert PromptTemplate.from_template("{{ x }}", template_format="jinja2").format(x=evil) == evil
    with pytest.raises(ValueError, match=r"(?i)jinja|template"):
        PromptTemplate.from_template("{% for %}", template_format="jinja2")


# ---- mustache -----------------------------------------------------------------------------------


MUSTACHE = [
    ("{{x}}", {"x": "a"}),
    ("{{ x }} {{{x}}} {{&x}}", {"x": "a"}),
    ("{{a.b.c}}", {"a": {"b": {"c": 1}}}),
    ("{{#l}}<{{.}}>{{/l}}", {"l": ["a", "b"]}),
    ("{{#l}}{{n}},{{/l}}", {"l": [{"n": 1}, {"n": 2}]}),
    ("{{^l}}none{{/l}}", {"l": []}),
    ("{{#o}}{{k}}{{/o}}", {"o": {"k": 7}}),
    ("{{! a comment }}x", {}),
    ("{{#yes}}Y{{/yes}}{{^yes}}N{{/yes}}", {"yes": True}),
    ("{{#yes}}Y{{/yes}}{{^yes}}N{{/yes}}", {"yes": False}),
    ("{x} stays", {}),
    ("{{#l}}\n* {{.}}\n{{/l}}\nend", {"l": ["a", "b"]}),
]


@pytest.mark.parametrize(("template", "given_"), MUSTACHE)
def test_mustache_is_langchains(template, given_):
    got = []
    for lib in (OURS, THEIRS):
        prompt = lib.prompts.PromptTemplate.from_template(template, template_format="mustache")
        got.append((prompt.invoke(given_).to_string(), sorted(prompt.input_variables)))
    assert got[0] == got[1]


def test_mustache_looks_into_dicts_and_lists_only():
    prompt = PromptTemplate.from_template(
        "[{{x.secret}}{{x.__class__}}]", template_format="mustache"
    )
    assert prompt.format(x=Holder()) == "[]"
    prompt = PromptTemplate.from_template("{{#x}}{{secret}}{{/x}}", template_format="mustache")
    assert "hunter2" not in prompt.format(x=Holder())
    evil = PromptTemplate.from_template("{{x}}", template_format="mustache").format(x="{{y}}")
    assert evil == "{{y}}"


@pytest.mark.parametrize(
    "bad", ["{{x", "{{#a}}", "{{/a}}", "{{#a}}{{/b}}", "{{#a}}{{#b}}{{/a}}{{/b}}"]
)
def test_malformed_mustache_is_refused(bad):
    with pytest.raises(ValueError):
        PromptTemplate.from_template(bad, template_format="mustache")


# ---- images, pipelines, structured --------------------------------------------------------------


@every_colour
def test_images(colour):
    def body(doors):
        prompt = ImagePromptTemplate(template={"url": "https://a/{name}.png", "detail": "high"})
        value = doors.invoke(prompt, {"name": "b"})
        assert value.to_string() == "https://a/b.png"
        chat = ChatPromptTemplate.from_messages(
            [("human", [{"type": "text", "text": "{q}"}, IMAGE])]
        )
        content = doors.invoke(chat, {"q": "what?", "x": "c"}).to_messages()[0].content
        assert content == [
            {"type": "text", "text": "what?"},
            {"type": "image_url", "image_url": {"url": "https://a.example/c.png"}},
        ]

    colour.run(body)


@every_colour
def test_an_image_prompt_shows_a_model_an_image(colour):
    """What reaches the model must say of itself that it is an image."""

    def body(doors):
        model = Counting()
        doors.invoke(ImagePromptTemplate(template={"url": "https://a/{name}.png"}) | model, "b")
        (block,) = model.asked[0]["messages"][0].content_blocks
        assert (block["type"], block.get("url")) == ("image", "https://a/b.png")

    colour.run(body)


def test_images_read_no_files(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"secret")
    with pytest.raises(ValueError, match="path"):
        ImagePromptTemplate(template={"path": str(path)})
    with pytest.raises(ValueError, match="path"):
        ImagePromptTemplate(template={}).format(path=str(path))


@every_colour
def test_pipelines(colour):
    pipeline = PipelinePromptTemplate(
        final_prompt=PromptTemplate.from_template("{intro}\n{body}"),
        pipeline_prompts=[
            ("intro", PromptTemplate.from_template("I am {who}.")),
            ("body", PromptTemplate.from_template("{intro} Do {what}.")),
        ],
    )

    def body(doors):
        assert sorted(pipeline.input_variables) == ["what", "who"]
        value = doors.invoke(pipeline, {"who": "A", "what": "B"})
        assert value.to_string() == "I am A.\nI am A. Do B."
        with pytest.raises(KeyError, match="what"):
            doors.invoke(pipeline, {"who": "A"})
        # A value with braces is not read as a template by the next prompt.
        value = doors.invoke(pipeline, {"who": "{what}", "what": "{who}"})
        assert value.to_string() == "I am {what}.\nI am {what}. Do {who}."
        chat = PipelinePromptTemplate(
            final_prompt=ChatPromptTemplate.from_messages(
                [("system", "{rules}"), MessagesPlaceholder("shots"), ("human", "{q}")]
            ),
            pipeline_prompts=[
                ("rules", PromptTemplate.from_template("be {how}")),
                ("shots", ChatPromptTemplate.from_messages([("human", "{a}"), ("ai", "{b}")])),
            ],
        )
        given_ = {"how": "nice", "a": "1", "b": "2", "q": "3"}
        messages = doors.invoke(chat, given_).to_messages()
        assert [m.content for m in messages] == ["be nice", "1", "2", "3"]

    colour.run(body)


class Joke(BaseModel):
    setup: str
    rating: int


class Structured(Counting):
    """Answers in JSON, as a vendor that holds its model to a schema does."""

    structured_modes: ClassVar[tuple[str, ...]] = ("json_mode",)

    def _stream(self, messages, stop=None, run_manager=None, **kw):
        self._note(messages, stop, kw)
        for piece in ('{"setup": "wh', 'y", "rat', 'ing": 7', "}"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))

    def _generate(self, messages, stop=None, run_manager=None, **kw):
        from headrace.language_models import BaseChatModel

        return BaseChatModel._generate(self, messages, stop, run_manager, **kw)


@every_colour
def test_a_structured_prompt_makes_the_model_structured(colour):
    def body(doors):
        for prompt in (
            StructuredPrompt([("human", "joke about {x}")], Joke, method="json_mode"),
            StructuredPrompt.from_messages_and_schema(
                [("human", "joke about {x}")], Joke, method="json_mode"
            ),
        ):
            model = Structured()
            chain = prompt | model
            assert doors.invoke(chain, {"x": "cats"}) == Joke(setup="why", rating=7)
            streamed = doors.stream(chain, {"x": "cats"})
            assert streamed[-1] == Joke(setup="why", rating=7)
            assert len(streamed) > 1
            assert model.asked[0]["messages"][-1].content == "joke about cats"

    colour.run(body)


def test_a_structured_prompt_needs_a_schema_and_a_model():
    with pytest.raises(ValueError, match="schema"):
        StructuredPrompt([("human", "x")])
    with pytest.raises((TypeError, ValueError, NotImplementedError)):
        StructuredPrompt([("human", "x")], Joke) | (lambda value: value)


# ---- what comes out -----------------------------------------------------------------------------


@given(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=5) | st.integers(), min_size=3),
    st.lists(st.sampled_from(["{a}", "{b!r}", "{c:>5}", "{{", "}}", "x", "\n"]), max_size=8),
)
def test_f_strings_are_pythons(given_, parts):
    template = "".join(parts)
    if "{c:>5}" in template and not isinstance(given_["c"], str | int):
        return
    wanted = template.format(**given_)
    assert PromptTemplate.from_template(template).format(**given_) == wanted
    chat = ChatPromptTemplate.from_messages([("human", template)])
    assert chat.format_messages(**given_)[0].content == wanted


def test_schemas_name_the_variables():
    prompt = ChatPromptTemplate.from_messages(
        [("human", "{x}"), MessagesPlaceholder("h"), MessagesPlaceholder("o", optional=True)]
    )
    schema = prompt.get_input_jsonschema()
    assert set(schema["properties"]) == {"x", "h", "o"}
    assert sorted(schema["required"]) == ["h", "x"]


def test_pretty_repr_shows_what_a_template_says():
    prompt = ChatPromptTemplate.from_messages([("system", "be {how}"), MessagesPlaceholder("h")])
    other = THEIRS.prompts.ChatPromptTemplate.from_messages(
        [("system", "be {how}"), THEIRS.prompts.MessagesPlaceholder("h")]
    )
    assert prompt.pretty_repr() == other.pretty_repr()


def test_files(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("grüße {x}", encoding="utf-8")
    assert PromptTemplate.from_file(path).format(x=1) == "grüße 1"


# ---- other template languages in every form -----------------------------------------------------


OTHER_FORMS = {
    "pair": ("human", "x is {{x}}"),
    "system": ("system", "x is {{x}}"),
    "string": "x is {{x}}",
    "dict": {"role": "user", "content": "x is {{x}}"},
    "blocks": ("human", [{"type": "text", "text": "x is {{x}}"}]),
    "image": (
        "human",
        ["see {{x}}", {"type": "image_url", "image_url": {"url": "https://a/{{x}}.png"}}],
    ),
    "other block": ("human", [{"type": "image", "source_type": "url", "url": "https://a/{{x}}"}]),
    "braces": ("human", "{x} {{x}}"),
}


@pytest.mark.parametrize(
    ("language", "name"),
    # LangChain takes no jinja2 in blocks of other kinds.
    [
        *(("mustache", name) for name in OTHER_FORMS),
        *(("jinja2", name) for name in OTHER_FORMS if name != "other block"),
    ],
)
def test_the_languages_work_in_every_form(name, language):
    got = []
    for lib in (OURS, THEIRS):
        prompt = lib.prompts.ChatPromptTemplate.from_messages(
            [OTHER_FORMS[name]], template_format=language
        )
        value = prompt.invoke({"x": "seven"})
        got.append((plains(value.to_messages()), sorted(prompt.input_variables)))
    assert got[0] == got[1]


JSONISH = st.recursive(
    st.text("ab<&", max_size=3) | st.integers(0, 3) | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abx"), inner, max_size=2)
    ),
    max_leaves=5,
)
PARTS = st.lists(
    st.sampled_from(
        ["{{a}}", "{{{b}}}", "{{#a}}[{{.}}]{{/a}}", "{{#b}}({{a}}){{/b}}",
         "{{^a}}none{{/a}}", " ", "\n", "t"]
    ),
    max_size=5,
)  # fmt: skip


@given(PARTS, JSONISH, JSONISH)
def test_mustache_shows_values_as_langchain_shows_them(parts, a, b):
    """Where LangChain keeps to the specification: not with empty lists, dicts and items, and not
    with True, which is the context of its section as any other value is."""
    if any(
        value in ([], {}) or value is True or (isinstance(value, list) and not all(value))
        for value in _all(a, b)
    ):
        return
    template = "".join(parts)
    got = []
    for lib in (OURS, THEIRS):
        prompt = lib.prompts.PromptTemplate.from_template(template, template_format="mustache")
        got.append(prompt.format(a=a, b=b))
    assert got[0] == got[1]


def _all(*values: Any) -> Any:
    for value in values:
        yield value
        if isinstance(value, dict):
            yield from _all(*value.values())
        elif isinstance(value, list):
            yield from _all(*value)


# ---- prompts as values ---------------------------------------------------------------------------


def everything() -> ChatPromptTemplate:
    return ChatPromptTemplate.from_messages(
        [
            ("system", "be {how}"),
            MessagesPlaceholder("h", optional=True),
            ("human", [{"type": "text", "text": "{q}"}, IMAGE]),
            AIMessage("fixed"),
        ]
    ).partial(how="kind")


def test_prompts_copy_pickle_and_compare():
    given_ = {"q": "?", "x": "1", "h": HISTORY}
    prompt = everything()
    wanted = prompt.invoke(given_)
    for twin in (copy.deepcopy(prompt), pickle.loads(pickle.dumps(prompt)), prompt.model_copy()):
        assert twin == prompt
        assert twin.invoke(given_) == wanted
    assert everything() == prompt
    assert prompt != prompt.partial(q="other")


@every_colour
def test_a_filled_in_prompt_does_not_share_what_it_was_made_of(colour):
    def body(doors):
        prompt = everything()
        history = [HumanMessage("q", additional_kwargs={"k": [1]})]
        first = doors.invoke(prompt, {"q": "?", "x": "1", "h": history}).to_messages()
        first[2].content.append("spoiled")
        first.pop()
        again = doors.invoke(prompt, {"q": "?", "x": "1", "h": history}).to_messages()
        assert again[-1].content == "fixed"
        assert len(again) == 4
        assert len(again[2].content) == 2

    colour.run(body)


@every_colour
def test_a_prompt_before_a_parallel_and_in_a_dict(colour):
    def body(doors):
        prompt = ChatPromptTemplate.from_template("{a}")
        chain = {"a": lambda given: given["n"] + 1} | prompt | Counting() | (lambda m: m.content)
        assert doors.invoke(chain, {"n": 1}) == "Hello world"
        with pytest.raises(KeyError, match="a"):
            doors.invoke({"b": lambda given: 1} | prompt, {})

    colour.run(body)
