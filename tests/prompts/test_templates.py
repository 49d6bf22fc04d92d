"""`PromptTemplate` and the three template languages: what is filled in, and what is refused."""

from __future__ import annotations

import sys
from collections import ChainMap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, InputError, MissingExtraError, MissingVariablesError
from headrace.prompt_values import StringPromptValue
from headrace.prompts import PromptInputError, PromptTemplate, get_template_variables
from headrace.prompts.formats import _environment, compiled

JOKE = PromptTemplate.from_template("tell me a {mood} joke about {topic}")

# ---- f-strings ---------------------------------------------------------------------------------


def test_a_template_knows_its_variables_and_is_filled_in() -> None:
    assert JOKE.input_variables == ["mood", "topic"]
    assert JOKE.format(mood="sad", topic="rain") == "tell me a sad joke about rain"
    value = JOKE.invoke({"mood": "sad", "topic": "rain", "more": 1})
    assert value == StringPromptValue("tell me a sad joke about rain")


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("", {}, ""),
        ("{{}}", {}, "{}"),
        ('{{"a": {x}}}', {"x": 1}, '{"a": 1}'),
        ("{x}{x}", {"x": "ab"}, "abab"),
        ("{x!r}|{x!s}|{x!a}", {"x": "é"}, "'é'|é|'\\xe9'"),
        ("{x:>4}|{y:.2f}", {"x": "a", "y": 1}, "   a|1.00"),
        ("{x!r:>6}", {"x": "a"}, "   'a'"),
        ("{x}", {"x": None}, "None"),
        ("{x}", {"x": ["a", 1]}, "['a', 1]"),
        ("{self} {values}", {"self": 1, "values": 2}, "1 2"),
        ("{x}", {"x": "{y}"}, "{y}"),  # values are not templates
    ],
)
def test_fields(template: str, values: dict[str, Any], expected: str) -> None:
    assert PromptTemplate.from_template(template).format(**values) == expected
    assert PromptTemplate.from_template(template).invoke(values).to_string() == expected


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{a.b}", "attribute and index access"),
        ("{a[0]}", "attribute and index access"),
        ("{a[b.c]!r}", "attribute and index access"),
        ("{}", "named, not numbered"),
        ("{0}", "named, not numbered"),
        ("{x:{width}}", "inside of a format specifier"),
        ("{x!q}", "conversions"),
        ("open {", "written twice"),
        ("shut }", "written twice"),
        ("{x", "written twice"),
    ],
)
def test_unsafe_and_malformed_fields_are_refused_when_the_template_is_made(
    template: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        PromptTemplate.from_template(template)
    assert repr(template) in str(caught.value)


def test_a_long_template_is_cut_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        PromptTemplate.from_template("x" * 10_000 + "{")
    assert len(str(caught.value)) < 500


def test_a_value_that_a_format_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match=r"variable 'price'.*'cheap'"):
        PromptTemplate.from_template("{price:.2f}").format(price="cheap")


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(), min_size=1))
def test_any_text_goes_in_unchanged(values: dict[str, str]) -> None:
    template = "{{" + "|".join(f"{{{name}}}" for name in values) + "}}"
    prompt = PromptTemplate.from_template(template)
    assert prompt.input_variables == sorted(values)
    assert prompt.invoke(values).to_string() == "{" + "|".join(values.values()) + "}"


@given(st.text())
def test_escaped_text_is_a_template_of_itself(text: str) -> None:
    prompt = PromptTemplate.from_template(text.replace("{", "{{").replace("}", "}}"))
    assert (prompt.input_variables, prompt.format()) == ([], text)


@given(st.text(alphabet="{}ab!:.[]0r ", max_size=12))
def test_what_is_not_refused_agrees_with_str_format(template: str) -> None:
    try:
        names = get_template_variables(template)
    except ConfigError:
        return
    values = {name: f"<{name}>" for name in names}
    try:
        expected = template.format_map(values)
    except ValueError:  # a format specifier that strings do not know
        with pytest.raises(InputError):
            compiled(template, "f-string").render(values)
    else:
        assert compiled(template, "f-string").render(values) == expected


# ---- variables ---------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [JOKE.invoke, lambda values: JOKE.format(**values)])
def test_missing_variables_are_named_all_at_once(call: Any) -> None:
    with pytest.raises(MissingVariablesError) as caught:
        call({"other": 1})
    assert isinstance(caught.value, KeyError)
    for name in ("mood", "topic", "other"):
        assert name in str(caught.value)


def test_a_single_variable_may_be_given_bare() -> None:
    prompt = PromptTemplate.from_template("about {topic}")
    assert prompt.invoke("rain").to_string() == "about rain"
    assert prompt.invoke(7).to_string() == "about 7"
    assert JOKE.partial(mood="sad").invoke("rain").to_string() == "tell me a sad joke about rain"


@pytest.mark.parametrize("wrong", ["rain", None, ["mood", "topic"]])
def test_several_variables_may_not(wrong: Any) -> None:
    with pytest.raises(PromptInputError, match="PromptTemplate takes a dict") as caught:
        JOKE.invoke(wrong)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)


def test_no_variable_takes_no_bare_value() -> None:
    assert PromptTemplate.from_template("hi").invoke({}).to_string() == "hi"
    with pytest.raises(PromptInputError):
        PromptTemplate.from_template("hi").invoke("there")


def test_any_mapping_is_a_dict_of_variables() -> None:
    assert JOKE.invoke(ChainMap({"mood": "a"}, {"topic": "b"})).to_string() == (
        "tell me a a joke about b"
    )


def test_partials_are_filled_in_callables_each_time() -> None:
    count = iter(range(10))
    prompt = PromptTemplate.from_template(
        "{n} {a} {b}", partial_variables={"n": lambda: next(count), "a": "A"}
    )
    assert prompt.input_variables == ["b"]
    assert prompt.format(b="B") == "0 A B"
    assert prompt.format(b="B") == "1 A B"
    assert prompt.format(b="B", a="over", n="no call") == "no call over B"
    assert prompt.format(b="B") == "2 A B"


def test_partial_leaves_the_original_alone() -> None:
    sad = JOKE.partial(mood="sad")
    assert sad.input_variables == ["topic"]
    assert JOKE.input_variables == ["mood", "topic"]
    assert JOKE.partial_variables == {}
    assert sad.partial(topic=lambda: "rain").format() == "tell me a sad joke about rain"


def test_declared_variables_are_checked_on_request() -> None:
    loose = PromptTemplate(input_variables=["bar"], template="a {foo}")
    assert loose.input_variables == ["foo"]
    with pytest.raises(ConfigError, match=r"\['bar'\].*\['foo'\]"):
        PromptTemplate(input_variables=["bar"], template="a {foo}", validate_template=True)
    PromptTemplate(
        input_variables=["bar"],
        template="{foo}{bar}",
        partial_variables={"foo": 1},
        validate_template=True,
    )


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="tempalte_format"):
        PromptTemplate.from_template("a", tempalte_format="jinja2")
    with pytest.raises(ConfigError, match=r"Unknown template_format 'f_string'"):
        PromptTemplate.from_template("a", template_format="f_string")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="A template is a string"):
        PromptTemplate(["a"])  # type: ignore[arg-type]


# ---- composition -------------------------------------------------------------------------------


def test_adding_joins_text_and_partials() -> None:
    first = PromptTemplate.from_template("{a} ", partial_variables={"a": "A"})
    both = first + PromptTemplate.from_template("{b}") + " {c}"
    assert both.input_variables == ["b", "c"]
    assert both.format(b="B", c="C") == "A B C"


def test_adding_refuses_what_does_not_fit() -> None:
    jinja = PromptTemplate.from_template("{{ a }}", template_format="jinja2")
    assert (jinja + "{{ b }}").input_variables == ["a", "b"]
    with pytest.raises(ConfigError, match="formats 'f-string' and 'jinja2'"):
        JOKE + jinja
    with pytest.raises(ConfigError, match=r"fill in the variables \['topic'\]"):
        JOKE.partial(topic="a") + JOKE.partial(topic="b")
    with pytest.raises(PromptInputError, match="cannot be added"):
        JOKE + 5


def test_a_template_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("é {x}", "utf-8")
    assert PromptTemplate.from_file(file).format(x=1) == "é 1"
    file.write_text("é {x}", "latin-1")
    assert PromptTemplate.from_file(str(file), "latin-1").format(x=1) == "é 1"


def test_pretty_repr_shows_variables_in_braces() -> None:
    prompt = PromptTemplate.from_template("{{x}} {a} {b:.2f} {c}", partial_variables={"c": 3})
    assert prompt.pretty_repr() == "{x} {a} {b} 3"


# ---- jinja2 ------------------------------------------------------------------------------------


def jinja(template: str) -> PromptTemplate:
    return PromptTemplate.from_template(template, template_format="jinja2")


def test_jinja2_templates() -> None:
    prompt = jinja("{% for x in xs %}{{ x.name }}{{ sep }}{% endfor %}")
    assert prompt.input_variables == ["sep", "xs"]
    assert prompt.format(xs=[{"name": "a"}, {"name": "b"}], sep=";") == "a;b;"
    with pytest.raises(MissingVariablesError, match="sep"):
        prompt.invoke({"xs": []})


@pytest.mark.parametrize(
    "template",
    ["{{ x.__class__.__mro__ }}", "{{ x.append(1) }}", "{{ x.nothing.more }}"],
)
def test_jinja2_stays_in_its_sandbox(template: str) -> None:
    with pytest.raises(InputError, match="jinja2 template"):
        jinja(template).format(x=[])


def test_malformed_jinja2() -> None:
    with pytest.raises(ConfigError, match="jinja2 template"):
        jinja("{% if %}")


def test_without_jinja2_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2.sandbox", None)
    _environment.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r'pip install "headrace\[jinja2\]"'):
            jinja("{{ a }} not compiled before")
    finally:
        _environment.cache_clear()


# ---- mustache ----------------------------------------------------------------------------------


def mustache(template: str) -> PromptTemplate:
    return PromptTemplate.from_template(template, template_format="mustache")


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ("{{x}} {x}", {"x": "a"}, "a {x}"),
        ("{{x}}", {"x": '<"&>'}, "&lt;&quot;&amp;&gt;"),
        ("{{{x}}}{{&x}}", {"x": "<"}, "<<"),
        ("{{a.b.1}}", {"a": {"b": [1, 2]}}, "2"),
        ("{{a.b}}", {"a": {}}, ""),
        ("{{x}}", {"x": None}, ""),
        ("{{#xs}}[{{.}}]{{/xs}}", {"xs": [1, 0]}, "[1][0]"),
        ("{{#xs}}{{a}}{{b}}{{/xs}}", {"xs": [{"a": 1}, {"a": 2}], "b": "!"}, "1!2!"),
        ("{{^xs}}none{{/xs}}{{#xs}}some{{/xs}}", {"xs": []}, "none"),
        ("{{#a}}{{#b}}{{c}}{{/b}}{{/a}}", {"a": {"b": {"c": 3}}}, "3"),
        ("a\n  {{! ignored }}\nb{{!x}}", {}, "a\nb"),
        ("{{#xs}}\n- {{.}}\n{{/xs}}\nend", {"xs": "ab"}, "- ab\nend"),
    ],
)
def test_mustache(template: str, values: dict[str, Any], expected: str) -> None:
    assert mustache(template).format(**values) == expected


def test_mustache_variables_are_those_outside_of_sections() -> None:
    prompt = mustache("{{a.b}} {{#c}}{{d}}{{/c}} {{^e}}{{/e}} {{{f}}}")
    assert prompt.input_variables == ["a", "c", "e", "f"]


def test_mustache_does_not_reach_into_attributes() -> None:
    assert mustache("{{x.__class__}}{{x.upper}}").format(x="text") == ""


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{#a}}", "is not closed"),
        ("{{#a}}{{/b}}", "closes no open section"),
        ("{{/a}}", "closes no open section"),
        ("{{a", "is not closed"),
        ("{{}}", "is no name"),
        ("{{a..b}}", "is no name"),
        ("{{>part}}", "partials"),
        ("{{=<% %>=}}", "delimiters"),
    ],
)
def test_malformed_mustache(template: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        mustache(template)
