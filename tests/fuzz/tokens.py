"""Where fuzzing begins: texts that are nearly right, and the words that they are made of."""

from __future__ import annotations

from typing import Final

JSON_WORDS: Final = [
    *("{", "}", "[", "]", ":", ",", '"', "\\", "\\u", "\\ud83d", "\\ude00", '\\"', "\\n", "true"),
    *("false", "null", "NaN", "-Infinity", "-0", "1e5", "0.", "E-", "```json\n", "```", '{"a":'),
    *('"a"', " \n", "\n", "[[[[[[[[", "]]]]]]]]", "é", "😀"),
]
JSON: Final = [
    '{"countries": [{"name": "France", "population": 67413000}, {"name": "Sp',
    '[1, -2.5e3, "\\ud83d\\ude00", true, null, {"a": {"b": [[], {}]}}]',
    'Here it is:\n```json\n{"a": [1, 2,],}\n```\nand so on',
    "[[[[[[[[[1, [2]]], 3]]]]]]",
]
SSE_WORDS: Final = [
    *("data", "data: ", "event: ", "id: ", "retry: ", ":", "\n", "\r", "\r\n", "\n\n", "\0", "12"),
    *("\ufeff", "é", "😀"),
]
SSE: Final = [
    "\ufeffevent: token\r\nid: 7\r\ndata: par\r\ndata: rot\r\n\r\n: ping\r\n\r\n",
    "retry: 10\rdata\r\rid\0: 3\ndata: é\n\n",
]
XML_WORDS: Final = [
    *("<a>", "</a>", "<b>", "</b>", "<", ">", "</", "/>", "&lt;", "&", "<![CDATA[", "]]>"),
    *("<!--", "-->", "<?xml version='1.0'?>", "<!DOCTYPE a [", "<!ENTITY x 'y'>", "&x;", "```xml"),
]
XML: Final = [
    "Here:\n```xml\n<movies><movie><name>Forrest</name><year>1994</year></movie></movies>\n```",
    "<a><b/>text &amp; more<![CDATA[<x>]]></a> after",
]
WORDS: Final = {"json": JSON_WORDS, "sse": SSE_WORDS, "xml": XML_WORDS}
TEXTS: Final = {"json": JSON, "sse": SSE, "xml": XML}
