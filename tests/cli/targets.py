"""Sources of targets that several tests stream."""

# Chunks of every kind, and what is shown of them.
VALUES = """
from headrace.documents import Document
from headrace.messages import AIMessageChunk, HumanMessage
from headrace.runnables import RunnableLambda, RunnableParallel
from pydantic import BaseModel
from dataclasses import dataclass

class Model(BaseModel):
    a: int = 1

@dataclass
class Data:
    b: Model

class Thing:
    def __repr__(self):
        return "<a thing>"

def values(chunks):
    yield "one"
    yield AIMessageChunk(" two")
    yield {"three": 3, "é": [None, True]}
    yield [Document("four", {"n": 4}, "id")]
    yield Model()
    yield {"five": Data(Model())}
    yield Thing()
    yield {"six": Thing()}
    yield {(1, 2): "keys"}
    yield 7
    yield None
    yield HumanMessage([{"type": "text", "text": "eight"}, {"type": "image_url", "image_url": "x"}])
    yield ""
    yield " nine \\ud800"

echo = RunnableLambda(lambda value: value)
both = RunnableParallel(a=lambda text: text, b=lambda text: AIMessageChunk(text))
"""
TEXTUAL = """one two
{"three": 3, "é": [null, true]}
[{"id": "id", "metadata": {"n": 4}, "page_content": "four", "type": "Document"}]
{"a": 1}
{"five": {"b": {"a": 1}}}
<a thing>
{'six': <a thing>}
{(1, 2): 'keys'}
7
null
eight nine \\ud800
"""

# Chunks that do not add up as text.
ELEMENTS = """
from headrace.output_parsers import JsonOutputParser, PydanticOutputParser
from pydantic import BaseModel

class One(BaseModel):
    n: str

names = JsonOutputParser(path="a[*].n")
bound = JsonOutputParser(path="a[*].n").with_config(tags=["t"])
so_far = JsonOutputParser()
typed = PydanticOutputParser(One)
"""

# What goes wrong in a step.
FAILING = """
from headrace.runnables import RunnableLambda
from headrace.errors import InputError

def start(chunks):
    yield "some "
    yield "text"

def boom(text):
    raise ValueError("no\\n  good")

def several(chunks):
    for chunk in chunks:
        yield chunk
    raise InputError("A sentence about it.")

def pipe(text):
    raise BrokenPipeError("a pipe of mine")

def silent(text):
    raise KeyError

async def only_async(text):
    return text

async def cancelled(text):
    import asyncio
    raise asyncio.CancelledError("by myself")

chain = RunnableLambda(str) | boom
partial = RunnableLambda(start) | several
"""

# Yields a chunk for each line on standard input, so that a test sets the pace.
PACED = """
import pathlib, sys

def paced(chunks):
    try:
        yield "ready "
        for line in sys.stdin:
            yield line.strip() + " "
    finally:
        pathlib.Path("closed").write_text("")
"""

# Yields without end.
ENDLESS = """
import asyncio, pathlib

def endless(chunks):
    try:
        while True:
            yield "line\\n"
    finally:
        pathlib.Path("closed").write_text("")

async def aendless(chunks):
    try:
        while True:
            yield "line\\n"
            await asyncio.sleep(0)
    finally:
        pathlib.Path("closed").write_text("")

def printing(text):
    while True:
        print("line")
"""

# Waits without end, having said that it does.
WAITING = """
import asyncio, pathlib, time

def waiting(chunks):
    try:
        yield "ready"
        time.sleep(600)
    finally:
        pathlib.Path("closed").write_text("")

async def awaiting(chunks):
    try:
        yield "ready"
        await asyncio.sleep(600)
    finally:
        pathlib.Path("closed").write_text("")

def block(text):
    print("ready", end="", flush=True)
    time.sleep(600)
"""
