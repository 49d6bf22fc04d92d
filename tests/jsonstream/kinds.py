"""Texts of every kind that a JSON parser's tests know, each with what is to become of it.

The kinds are those of the JSON test suites: texts that RFC 8259 accepts, texts that it refuses, and
texts that it leaves to the implementation. The texts are our own. `ACCEPTED` and `REFUSED` say what
strict does; `READ` what the tolerant machine makes of texts that strict refuses: what is not in
there, it refuses as well.
"""

from __future__ import annotations

from typing import Any, Final


def _texts(*lines: str) -> list[str]:
    """Texts written side by side; none has a bar in it."""
    return [text for line in lines for text in line.split("|")]


ACCEPTED: Final[dict[str, list[str]]] = {
    "structure": _texts(
        r"""[]|{}|[[]]|[{}]|{"a":[]}|{"a":{}}|[[],[],{}]|[1,[2,[3]]]|[[[[[]]]]]""",
        r"""{"a":{"b":{"c":{}}}}""",
    ),
    "literals": _texts(
        r"""true|false|null|[true]|[false,null]|{"a":true}| true """,
    ),
    "numbers": _texts(
        r"""0|-0|1|-1|10|1234567890|0.0|-0.0|0.5|1.5|-1.5|10.25|1e1|1E1|1e+1|1e-1|1.5e10""",
        r"""-1.5E-10|0e0|0E+0|0e-0|20e1|123e65|1.000|0.10|4.2e-7|[0,-0,1]|[1e5,1E5]""",
        r"""[123456789012345678]|1.7976931348623157e308|5e-324""",
    ),
    "strings": _texts(
        r'''""|"a"|"abc def"|"\""|"\\"|"\/"|"/"|"\b\f\n\r\t"|"\u0041"|"\u00e9"|"\u00E9"|"\u20ac"''',
        r'''"\u0000"|"\u001f"|"\u007f"|"\u2028\u2029"|"\ufeff"|"\uffff"|"\ud83d\ude00"''',
        r'''"\uD83D\uDE00"|"\ud834\udd1e x"|"é"|"€"|"😀"|"[1,2]"|"{\"a\":1}"|"//"|"/* */"|"`"''',
        r""""```"|" "|"  a  "|"\\u0041"|"\\\\"|"\\\""|["a","b"]|["",""]""",
    ),
    "objects": _texts(
        r"""{"":0}|{"a":1}|{"a":1,"b":2}|{"a":{"b":1},"c":[2]}|{"a b":1}|{"\u0061":1}|{"a\"b":1}""",
        r"""{"\ud83d\ude00":1}|{"😀":1}|{ "a" : 1 }|{"a":"b:c,d"}""",
    ),
    "blanks": [
        " []",
        "[] ",
        "\t[]\r\n",
        "[ ]",
        "[\n\n]",
        "{ }",
        "[1\t,\r2]",
        '{"a"\n:\n1}',
        " \t\r\n1 \t\r\n",
    ],
    "raw in strings": ['"\x7f"', '"\x80"', '"\u2028"', '"\ufeff"', '"\U0010ffff"', '"\ufdd0"'],
}

REFUSED: Final[dict[str, list[str]]] = {
    "structure": _texts(
        r"""[1,2|[1,|[|[[|{|{"a"|{"a":|{"a":1|{"a":1,|[{"a":[1|[1]]|[]]|{}}|[1}|{"a":1]|{]|[}|]""",
        r"""}|,|:|[,]|[,1]|[1,,2]|[,,]|[1,]|[1,,]|[[1,],]|{,}|{"a":1,}|{"a":1,,}|{"a":1,,"b":2}""",
        r"""{,"a":1}|[1 2]|[1:2]|["a":1]|[{"a":1}{"b":2}]|[[][]]|[1];|[1],|[1] 2|{"a":1}{"b":2}""",
        r"""{"a":1} x|(1)|[(1)]|<a>|[<null>]|[1]//c|[1]/*c*/|[/*c*/1]|{"a":/**/1}|#c|[1,#c""",
    ),
    "literals": _texts(
        r"""True|TRUE|tru|nul|fals|nulll|truefalse|[tru]|[nul]|[fals]|[True]|[None]|[undefined]""",
        r"""[nan]|[NULL]|[truth]|[t]|[yes]|true,|[true false]""",
    ),
    "numbers": _texts(
        r"""01|-01|00|-00|1.|-1.|.5|-.5|1.e1|.e1|1e|1e+|1e-|1E|1.5e|+1|++1|+-1|-+1|--1|-|+|-a""",
        r"""- 1|1-|1+|1+2|1-2|1/2|1.2.3|1e2e3|1e1.5|0x1|0xF|1x|1a|1_000|1,000|$1|1%|1f|1L|0b1""",
        r"""0o7|0.|00.1|Infinity|-Infinity|NaN|-NaN|+Infinity|inf|[1.]|[.5]|[01]|[-]|[+1]|[1e]""",
        r"""[0x1]|[1_0]|[NaN]|[Infinity]|[-Infinity]|[-NaN]|[１]|[²]|[٣]""",
    ),
    "strings": _texts(
        r'''"|"a|"\|"\"|"a\|"\x"|"\a"|"\0"|"\'"|"\v"|"\e"|"\U0041"|"\u"|"\u1"|"\u12"|"\u123"''',
        r""""\u123g"|"\uzzzz"|"\u 123"|"\u+123"|"\u-123"|"\u00"x"|"\x41"|"\101"|"\ "|'a'|“a”""",
        r""""a" "b"|"a"b|""a|"a\"|["a]|["a|["\"]|["a"|["a",|["\ud83d\u12"]|["\ud83d\x"]|['a']""",
        r"""[a]|[`a`]""",
    ),
    "objects": _texts(
        r"""{"a"}|{"a",}|{"a","b"}|{"a" 1}|{"a"::1}|{"a":}|{"a":,}|{"a":1:2}|{:1}|{a:1}|{'a':1}""",
        r"""{1:1}|{true:1}|{null:1}|{[]:1}|{{}:1}|{"a":1 "b":2}|{"a":1;"b":2}|{"a"=1}|{"a"=>1}""",
        r"""{"a":a}|{"a":'b'}|{"a":1,b:2}|{"a":1,"b"}|{"a":1,"b":}|{"a:1}|{"a":"b}""",
        r"""{"a":undefined}""",
    ),
    "blanks": [
        "",
        " ",
        "\n",
        "[\x0b]",
        "[\x0c1]",
        "\x0c[]",
        "[]\x0c",
        "[\xa01]",
        "[\u20281]",
        "[1\u2029]",
        "[\u30001]",
        "[\u200b1]",
        "[\\n]",
        "[\x00]",
        "[\x85]",
        "\u2060[]",
        "[1]\xa0",
    ],
    "raw in strings": [
        '"\x00"',
        '"a\x00b"',
        '"\t"',
        '"\n"',
        '"a\nb"',
        '"\r\n"',
        '"\x1f"',
        '["a\nb"]',
        '{"a\nb":1}',
        '"a\\\nb"',
    ],
    "around": [
        "\ufeff[]",
        "\ufeff",
        "x",
        "hello",
        "hello [1]",
        'hello {"a":1}',
        "Here: [1]",
        "[1] is it",
        "```json\n[1]\n```",
        '```\n{"a":1}\n```',
        "```json\n[1,]\n```",
        "```python\nx\n```",
        "``",
        "~~~\n[1]\n~~~",
        "<json>[1]</json>",
        "json [{}]",
        "a {b} c",
        "[1][2]",
        "a [1] b",
        "data: [1]",
        "// c\n[1]",
    ],
}

# RFC 8259 leaves these open; we do what Python's `json` does.
OPEN = [
    "1e400",
    "-1e400",
    "1e-400",
    "1e99999",
    "0.1e-999",
    "123456789012345678901234567890",
    "-123456789012345678901234567890",
    "0.1234567890123456789012345678901234567890",
    "[1e400]",
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud800\\ud800"',
    '"\\udc00\\ud800"',
    '"\\ud800a"',
    '"\\ud800\\n"',
    '"a\\udfff"',
    '"\\ud800\\u0041"',
    '"\\uDBFF"',
    '{"\\ud800":1}',
    '["\\ud83d\\ud83d\\ude00"]',
    '{"a":1,"a":2}',
    '{"a":1,"b":2,"a":3}',
    '{"a":1,"a":1}',
    '{"a":[1],"a":[2]}',
]
OPEN += ["[" * 200 + "]" * 200, '{"a":' * 200 + "1" + "}" * 200]

READ: Final[dict[str, Any]] = {
    "[1]]": [1],
    "[]]": [],
    "{}}": {},
    "[1,]": [1],
    "[[1,],]": [[1]],
    '{"a":1,}': {"a": 1},
    "[1];": [1],
    "[1],": [1],
    "[1] 2": [1],
    '{"a":1}{"b":2}': {"a": 1},
    '{"a":1} x': {"a": 1},
    "[1]//c": [1],
    "[1]/*c*/": [1],
    "true,": True,
    "1/2": 1,
    "1_000": 1,
    "1,000": 1,
    "1%": 1,
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "NaN": float("nan"),
    "[NaN]": [float("nan")],
    "[Infinity]": [float("inf")],
    "[-Infinity]": [float("-inf")],
    '"a" "b"': "a",
    '"a"b': "a",
    '""a': "",
    "\x0c[]": [],
    "[]\x0c": [],
    "[1]\xa0": [1],
    '"\x00"': "\x00",
    '"a\x00b"': "a\x00b",
    '"\t"': "\t",
    '"\n"': "\n",
    '"a\nb"': "a\nb",
    '"\r\n"': "\r\n",
    '"\x1f"': "\x1f",
    '["a\nb"]': ["a\nb"],
    '{"a\nb":1}': {"a\nb": 1},
    "\ufeff[]": [],
    'hello {"a":1}': {"a": 1},
    "Here: [1]": [1],
    "[1] is it": [1],
    "```json\n[1]\n```": [1],
    '```\n{"a":1}\n```': {"a": 1},
    "```json\n[1,]\n```": [1],
    "~~~\n[1]\n~~~": [1],
    "json [{}]": [{}],
    "[1][2]": [1],
    "data: [1]": [1],
    "// c\n[1]": [1],
}
