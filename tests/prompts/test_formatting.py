"""Templates as functions, the languages' safety, and what an error says that names variables."""

from __future__ import annotations

import warnings
from typing import Any

import langchain_core.prompts.string
import langchain_core.utils.formatting
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace.prompts.formatting
from headrace.errors import ConfigError, HeadraceWarning, InputError, MissingVariablesError
from headrace.messages import HumanMessage
from headrace.prompts import (
    ChatPromptTemplate,
    ImagePromptTemplate,
    MessagesPlaceholder,
    PromptTemplate,
    StrictFormatter,
    check_valid_template,
    formatter,
    get_template_variables,
    jinja2_formatter,
    mustache_formatter,
    mustache_schema,
    mustache_template_vars,
    validate_jinja2,
)

# ---- functions of templates --------------------------------------------------------------------


def outcome(call: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function gives, warns of, or that it fails."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            given_ = call(*args, **kwargs)
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            kinds = (KeyError, ValueError, TypeError, LookupError, AttributeError)
            return next(kind.__name__ for kind in kinds if isinstance(error, kind))
    return given_, len(warned)


TEMPLATES = ["", "a", "{x}", "{x:>5}{y!r}", "{{x}}", "{x"]
REFUSED = ["{x.y}", "{x.real}", "{x[0]}", "{0}", "{}", "{x:{y}}"]  # theirs may look into values


@pytest.mark.parametrize("template", [*TEMPLATES, *REFUSED])
def test_the_formatter_as_there(template: str) -> None:
    there = langchain_core.utils.formatting.formatter
    for values in ({"x": "X", "y": 2}, {"x": 1.5, "y": "é", "z": 0}):
        ours = outcome(formatter.format, template, **values)
        theirs = outcome(there.format, template, **values)
        assert ours == ("ValueError" if template in REFUSED else theirs)
    for names in ([], ["x"], ["x", "y", "z"]):
        ours = outcome(StrictFormatter().validate_input_variables, template, names)
        theirs = outcome(there.validate_input_variables, template, names)
        assert ours == ("ValueError" if template in REFUSED else theirs)


def test_the_formatter_takes_names_only() -> None:
    assert formatter.vformat("{a}", [], {"a": 1}) == "1"
    with pytest.raises(InputError, match=r"1 without a name: \('b',\)"):
        formatter.format("{a}", "b")
    with pytest.raises(MissingVariablesError, match=r"'a'.*no use for \['b'\]"):
        formatter.format("{a}", b=1)


CHECKED: list[tuple[str, str, list[str]]] = [
    ("{x}", "f-string", ["x"]),
    ("{x}", "f-string", ["x", "more"]),
    ("{x}", "f-string", []),
    ("{x:{y}}", "f-string", ["x"]),
    ("{x.y}", "f-string", ["x"]),
    ("{{x}}", "jinja2", ["x"]),
    ("{{x}}", "jinja2", []),
    ("{{x}}", "jinja2", ["x", "y"]),
    ("{x}", "none such", ["x"]),
]


@pytest.mark.parametrize(("template", "language", "names"), CHECKED)
def test_templates_are_checked_as_there(template: str, language: str, names: list[str]) -> None:
    theirs = langchain_core.prompts.string.check_valid_template
    expected = outcome(theirs, template, language, names)
    assert outcome(check_valid_template, template, language, names) == expected


def test_jinja2_is_checked_with_a_warning() -> None:
    with pytest.warns(
        HeadraceWarning, match=r"Missing variables: \{'x'\} Extra variables: \{'y'\}"
    ):
        validate_jinja2("{{ x }}", ["y"])
    assert jinja2_formatter("{{ x }}{{ y }}", x=1) == "1"


MUSTACHE = st.recursive(
    st.sampled_from(["{{x}}", "{{{y}}}", "{{&x}}", "{{! c }}", "{{y.a}}", "{{y.b.c}}", "t"]),
    lambda inner: st.tuples(
        st.sampled_from(["#x", "#y", "#l", "^no", "#y.b"]), st.lists(inner, max_size=3)
    ).map(lambda s: f"{{{{{s[0]}}}}}{''.join(s[1])}{{{{/{s[0][1:]}}}}}"),
    max_leaves=6,
)


def shape(schema: Any, whole: Any) -> Any:
    """A JSON schema as nested names: what a field holds, whatever the models are called."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "properties" not in schema:
        return schema.get("type")
    assert "required" not in schema
    return {name: shape(field, whole) for name, field in schema["properties"].items()}


def shape_of(model: Any) -> Any:
    schema = model.model_json_schema()
    return schema["title"], shape(schema, schema)


@pytest.mark.parametrize(
    "template",
    ["{{x}}", "{{x.y}} {{x}}", "{{#x}}{{y}}{{/x}}", "{{^x}}n{{/x}}", "{{#x}}{{.}}{{/x}}",
     "{{#a.b}}{{#c}}{{d}}{{/c}}{{e}}{{/a.b}}{{f}}", "", "{{a.b.c}}{{&a.d}}{{{g}}}"],
)  # fmt: skip
def test_what_mustache_asks_for_as_there(template: str) -> None:
    theirs = langchain_core.prompts.string
    assert shape_of(mustache_schema(template)) == shape_of(theirs.mustache_schema(template))
    assert mustache_template_vars(template) == theirs.mustache_template_vars(template)


@given(st.lists(MUSTACHE, max_size=4).map("".join))
def test_mustache_variables_as_there(template: str) -> None:
    theirs = langchain_core.prompts.string
    assert mustache_template_vars(template) == theirs.mustache_template_vars(template)
    names = mustache_template_vars(template)
    assert names <= set(mustache_schema(template).model_fields)
    assert get_template_variables(template, "mustache") == sorted(names)
    assert mustache_formatter(template) == PromptTemplate.from_template(
        template, template_format="mustache"
    ).format(**dict.fromkeys(names))


# ---- nobody gets out ---------------------------------------------------------------------------


class Value:
    """What a program might hand to a prompt."""

    def __init__(self) -> None:
        self.items = [1]

    def __repr__(self) -> str:
        return "value"


ESCAPES = [
    "{{ x.__class__ }}",
    "{{ x.__class__.__mro__[-1].__subclasses__() }}",
    "{{ x.__init__.__globals__ }}",
    "{{ x['__class__'] }}",
    "{{ x|attr('__class__') }}",
    "{{ x|attr('__init__')|attr('__globals__') }}",
    "{{ ''['__class__'] }}",
    "{{ (1).__class__.__base__.__subclasses__() }}",
    "{{ '{0.__class__}'.format(x) }}",
    "{{ '{0.__init__.__globals__}'.format(x) }}",
    "{{ '{x.__class__}'.format_map({'x': x}) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(x) }}",
    "{{ ('{0.__class__}'|attr('format'))(x) }}",
    "{{ ['{0.__class__}'.format]|map('call', x)|list }}",
    "{{ [x]|map(attribute='__class__')|list }}",
    "{{ [x]|groupby('__class__') }}",
    "{{ [x]|sum(attribute='__class__', start='') }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{% for k in x.__dict__ %}{{ k }}{% endfor %}",
    "{{ range(1000000000) }}",
    "{{ x.items.append(2) }}",
    "{{ x.items.clear() }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends '/etc/passwd' %}",
    "{% from 'os' import system %}",
    "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{{ m() }}",
    "{{ (x.items|map).__globals__ }}",
    "{{ x.__format__.__self__.__class__ }}",
]
LEAKS = ["<class", "__main__", "root:", "subclasses", "function", "built-in", "module", "Value"]


@pytest.mark.parametrize("template", ESCAPES)
def test_no_way_out_of_jinja2s_sandbox(template: str) -> None:
    value = Value()
    try:
        shown = PromptTemplate.from_template(template, template_format="jinja2").format(x=value)
    except (InputError, ConfigError):
        shown = ""
    assert not any(leak in shown for leak in LEAKS), shown
    assert value.items == [1]


@pytest.mark.parametrize(
    "template", ["{x.__class__}", "{x[0]}", "{x!r:{y}}", "{x:{x.__class__}}", "{x!z}",
                 "{x.__init__.__globals__}", "{0.__class__}", "{x[__class__]}"],
)  # fmt: skip
@pytest.mark.parametrize(
    "make",
    [
        PromptTemplate.from_template,
        lambda t: ChatPromptTemplate([("system", t)]),
        lambda t: ChatPromptTemplate([("human", [{"type": "text", "text": t}])]),
        lambda t: ChatPromptTemplate([("human", [{"type": "image_url", "image_url": t}])]),
        lambda t: ChatPromptTemplate([("human", [{"type": "audio", "data": [{"deep": t}]}])]),
        lambda t: ImagePromptTemplate({"url": t}),
        get_template_variables,
    ],
)
def test_f_strings_reach_into_nothing(template: str, make: Any) -> None:
    with pytest.raises(ConfigError):
        make(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{x.__class__}}",
        "{{#x.items}}{{.}}{{/x.items}}",
        "{{x.__class__.__name__}}",
        "{{#x}}{{__dict__}}{{/x}}",
    ],
)
def test_mustache_reaches_into_nothing(template: str) -> None:
    assert mustache_formatter(template, x=Value()) == ""


@pytest.mark.parametrize("wrong", ["{{> other}}", "{{=<% %>=}}", "{{#a}}", "{{/a}}", "{{}}", "{{a"])
def test_mustache_that_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError):
        mustache_formatter(wrong)


# ---- missing and extra variables ---------------------------------------------------------------

CHAT = ChatPromptTemplate(
    [("system", "{mood} {style}"), MessagesPlaceholder("history", optional=True), "{topic}"]
).partial(style="dry")
MISSING: list[tuple[dict[str, Any], str]] = [
    ({}, "the variables {'mood', 'topic'}, which were not given (received: [])."),
    ({"mood": 1}, "{'topic'}, which were not given (received: ['mood'])."),
    ({"mood": 1, "tpoic": 2}, "(received: ['mood', 'tpoic']). It has no use for ['tpoic']; "
     "is 'tpoic' for 'topic' a typing error?"),
    ({"Mood": 1, "Topic": 2}, "is 'Mood' for 'mood' and 'Topic' for 'topic' a typing error?"),
    ({"mood": 1, "count": 2}, "It has no use for ['count']. Pass"),
    ({"mood": 1, "history": [], "style": 1}, "(received: ['history', 'mood', 'style']). Pass"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "said"), MISSING)
async def test_a_missing_variable_names_what_was_given_in_its_place(
    values: dict[str, Any], said: str
) -> None:
    calls: list[Any] = [CHAT.invoke, lambda v: CHAT.format(**v), lambda v: list(CHAT.stream(v))]
    for call in calls:
        with pytest.raises(MissingVariablesError) as caught:
            call(values)
        assert said in str(caught.value)
    with pytest.raises(KeyError) as caught_too:
        await CHAT.ainvoke(values)
    assert said in str(caught_too.value)


def test_extra_variables_alone_are_no_error() -> None:
    # What goes through a chain mostly has more keys than one prompt of it needs.
    assert CHAT.invoke({"mood": 1, "topic": 2, "more": 3}).to_messages()[-1] == HumanMessage("2")
    with pytest.raises(ConfigError, match=r"Extra variables: {'more'}"):
        ChatPromptTemplate(["{x}"], input_variables=["x", "more"], validate_template=True)


def test_names_that_are_no_strings_are_shown() -> None:
    with pytest.raises(MissingVariablesError, match="'5'"):
        CHAT.invoke({5: 1})


# ---- images ------------------------------------------------------------------------------------


def test_an_image_by_a_path_is_refused_wherever_the_path_is() -> None:
    with pytest.raises(ConfigError, match="reads no files"):
        ImagePromptTemplate({"path": "{x}"})
    with pytest.raises(InputError, match="reads no files"):
        ImagePromptTemplate().format(path="/etc/passwd")
    with pytest.raises(InputError, match="reads no files"):
        ImagePromptTemplate({"url": "{u}"}).invoke({"u": "http://a", "path": "/etc/passwd"})
    # In a chat, where 'path' is a variable of something else, it has nothing to do with the image.
    chat = ChatPromptTemplate([("human", [{"image_url": {"url": "{u}"}}, "{path}"])])
    assert chat.invoke({"u": "http://a", "path": "b"}).to_messages() == [
        HumanMessage([
            {"type": "image_url", "image_url": {"url": "http://a"}}, {"type": "text", "text": "b"}
        ])
    ]  # fmt: skip


async def test_an_image_takes_its_url_and_detail_from_where_they_are() -> None:
    for prompt in (
        ImagePromptTemplate("http://{x}"),
        ImagePromptTemplate({"url": "http://{x}"}),
        ImagePromptTemplate(template={"url": "http://{{x}}"}, template_format="mustache"),
        ImagePromptTemplate({"url": "http://{{ x }}"}, template_format="jinja2"),
        ImagePromptTemplate({"url": "{y}{x}"}, partial_variables={"y": lambda: "http://"}),
    ):
        assert prompt.input_variables == ["x"]
        assert prompt.format(x="a") == await prompt.aformat(x="a") == {"url": "http://a"}
        assert prompt.invoke({"x": "a", "detail": "low"}).image_url["detail"] == "low"
    whole = ImagePromptTemplate({"url": "{x}", "detail": "{how}"})
    assert whole.format(x="a", how="high") == {"url": "a", "detail": "high"}
    assert ImagePromptTemplate().format(url="a") == {"url": "a"}
    for missing in ({}, {"url": ""}, {"url": 5}):
        with pytest.raises(InputError, match="needs a 'url'"):
            ImagePromptTemplate().format(**missing)
    for wrong in (5, ["url"]):
        with pytest.raises(ConfigError, match="An image's template"):
            ImagePromptTemplate(wrong)  # type: ignore[arg-type]


LANGUAGES = {"f-string": "{a}-{b}", "mustache": "{{{a}}}-{{{b}}}", "jinja2": "{{ a }}-{{ b }}"}


@pytest.mark.parametrize("language", LANGUAGES)
@given(st.text(), st.text())
def test_filling_in_in_two_steps_is_filling_in(language: Any, a: str, b: str) -> None:
    prompt = PromptTemplate.from_template(LANGUAGES[language], template_format=language)
    chat = ChatPromptTemplate([("ai", LANGUAGES[language])], template_format=language)
    assert prompt.partial(a=a).format(b=b) == prompt.format(a=a, b=b) == f"{a}-{b}"
    assert chat.partial(b=b).invoke({"a": a}) == chat.invoke({"a": a, "b": b})


def test_every_name_is_public() -> None:
    for name in headrace.prompts.formatting.__all__:
        assert getattr(headrace.prompts, name) is getattr(headrace.prompts.formatting, name)
