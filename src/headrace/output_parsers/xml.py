"""`XMLOutputParser`: XML in what a model says, element by element, safely.

    <foo><bar><baz>a</baz><baz/></bar></foo>      {"foo": [{"bar": [{"baz": "a"}, {"baz": None}]}]}

Three parts: `_Scanner` finds where the XML begins and ends and cuts it into whole tokens, expat
(through defusedxml or the standard library) says whether they are well formed, `_Tree` makes values
of elements that close. expat is only given whole tokens, so that it reads nothing twice. What is
before the first well-formed start tag is prose, and so is what is after the end of that element.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from ..errors import MissingExtraError, OutputParserException, XmlSyntaxError
from ..flow import Machine
from ..merge import merge
from ..runnables.addable import AddableDict
from ._machines import MachineOutputParser, Way, through
from .base import text_of

__all__ = ["XMLOutputParser"]

_DEEPEST = 500  # open elements: each is two levels of the value, and 1,000 of them are the limit
_SHOWN = 300  # characters of an output in an error


class XMLOutputParser(MachineOutputParser[dict[str, Any]]):
    """The XML element in what a model says, bare, in a Markdown fence or in prose, as a dict.

    An element is `{tag: text}` (None where there is none), or `{tag: [elements]}` where others are
    inside; attributes are left out, and so are elements that come after text of their parent.

    Streaming, each chunk is one innermost element that has closed, inside its parents:
    `{"foo": [{"bar": [{"baz": "a"}]}]}`. Chunks know which element they belong to, so that they
    add up to what `invoke` gives. Text that is not XML, that ends before the element does, or that
    has a second one outside of a fence raises OutputParserException, in a stream as in `invoke`.

    Document type declarations are refused whatever the parser, and with them every entity but the
    five of XML and characters by number: nothing is expanded or fetched. Elements are at most 500
    deep.

    Args:
        tags: the tags that the model is told to use.
        encoding_matcher: a pattern whose second group is the XML; with it the whole text is needed.
            Without it a declaration (`<?xml … encoding=…?>`) is skipped.
        parser: `"defusedxml"` needs the extra `xml`; `"xml"` is that of the standard library.

    Raises:
        MissingExtraError: defusedxml is not installed.
    """

    tags: list[str] | None = None
    encoding_matcher: re.Pattern[str] | None = None
    parser: Literal["defusedxml", "xml"] = "defusedxml"

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        _PARSERS[self.parser]()

    def parse(self, text: str) -> dict[str, Any]:
        """The element in `text`."""
        found = None if self.encoding_matcher is None else self.encoding_matcher.search(text)
        pieces = through(_Reader(self.parser), text if found is None else found.group(2))
        return dict(merge(pieces))

    def _machine(self) -> Machine:
        return _Reader(self.parser)

    @property
    def _way(self) -> Way:
        return super()._way if self.encoding_matcher is None else "text"

    def get_format_instructions(self) -> str:
        """How to write XML, with the tags, if any were given."""
        wanted = (
            f"Use only these tags: {', '.join(f'<{tag}>' for tag in self.tags)}."
            if self.tags
            else "Choose tags that say what is in them."
        )
        return (
            "Answer with XML: one outermost element that holds all others, and nothing before or "
            f"after it. {wanted} Close every tag that you open, in reverse order, like this:\n"
            "<answer><item>red</item><item>green</item></answer>\n"
            "Write & as &amp; and < as &lt; in text. Write no <!DOCTYPE>."
        )

    @property
    def _type(self) -> str:
        return "xml"


# ---------------------------------------------------------------------------------- the parsers


def _defused() -> Callable[[Any], Any]:
    try:
        from defusedxml.ElementTree import DefusedXMLParser
    except ImportError as error:
        raise MissingExtraError(
            "defusedxml", extra="xml", purpose="XMLOutputParser(parser='defusedxml')"
        ) from error
    return lambda target: DefusedXMLParser(target=target, forbid_dtd=True)


def _standard() -> Callable[[Any], Any]:
    from xml.etree.ElementTree import XMLParser

    return lambda target: XMLParser(target=target)


_PARSERS: dict[str, Callable[[], Callable[[Any], Any]]] = {"defusedxml": _defused, "xml": _standard}


# -------------------------------------------------------------------------------------- values


class _Node:
    """An element. Chunks that share one add up inside it."""

    __slots__ = ("at", "holds", "says", "silent", "tag", "texts")

    def __init__(self, tag: str, at: int, silent: bool) -> None:
        self.tag = tag
        self.at = at  # its start tag's place in the whole text
        self.silent = silent  # inside of one that is its text
        self.texts: list[str] = []  # before the first element in it
        self.holds = False  # elements
        self.says = False  # text that counts, before the first of them


class _Chunk(AddableDict):
    """Elements of one text, each a path of nodes and a text; adds up as the text nests them."""

    __slots__ = ("leaves",)

    leaves: list[tuple[tuple[_Node, ...], Any]]

    @classmethod
    def one(cls, path: tuple[_Node, ...], text: Any) -> _Chunk:
        inner: dict[str, Any] = {path[-1].tag: text}
        for node in path[-2::-1]:
            inner = {node.tag: [inner]}
        chunk = cls(inner)
        chunk.leaves = [(path, text)]
        return chunk

    @classmethod
    def several(cls, leaves: list[tuple[tuple[_Node, ...], Any]]) -> AddableDict:
        documents: list[dict[str, Any]] = []
        lists: dict[_Node, list[Any]] = {}
        for path, text in leaves:
            inner = documents
            for node in path[:-1]:
                if node not in lists:
                    lists[node] = []
                    inner.append({node.tag: lists[node]})
                inner = lists[node]
            inner.append({path[-1].tag: text})
        if len(documents) > 1:  # chunks of several texts
            return AddableDict.__headrace_merge__(documents)
        chunk = cls(documents[0])
        chunk.leaves = leaves
        return chunk

    @classmethod
    def __headrace_merge__(cls, chunks: Iterable[dict[str, Any]]) -> AddableDict:
        given = list(chunks)
        if all(isinstance(chunk, _Chunk) for chunk in given):
            return cls.several([leaf for chunk in given for leaf in chunk.leaves])  # type: ignore[attr-defined]
        return AddableDict.__headrace_merge__(given)


class _Tree:
    """What expat's parser tells of elements, as chunks."""

    def __init__(self) -> None:
        self.open: list[_Node] = []
        self.closed: list[AddableDict] = []
        self.at = 0  # where the tag begins that is being read

    def start(self, tag: str, attrs: Any) -> None:
        parent = self.open[-1] if self.open else None
        if parent is not None and not parent.holds:
            parent.holds = True
            parent.says = bool("".join(parent.texts).strip())
        if len(self.open) == _DEEPEST:
            raise XmlSyntaxError(f"more than {_DEEPEST} elements inside each other", self.at)
        silent = parent is not None and (parent.silent or parent.says)
        self.open.append(_Node(tag, self.at, silent))

    def data(self, text: str) -> None:
        node = self.open[-1]
        if not node.holds:
            node.texts.append(text)

    def end(self, tag: str) -> None:
        path = tuple(self.open)
        node = self.open.pop()
        text: Any = "".join(node.texts)
        node.texts.clear()
        if node.silent or (node.holds and not node.says):
            return
        if not self.open and not text.strip():
            text = []  # the outermost element is a list where it says nothing
        elif not text:
            text = None
        self.closed.append(_Chunk.one(path, text))


# ------------------------------------------------------------------------------------- reading

_NAME = r"[^\W\d][\w.\-]*+(?::[\w.\-]++)?"
_START_TAG = re.compile(
    rf"""<{_NAME}(?:\s++{_NAME}\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+\s*+/?>"""  # one that is whole
)
_IN_TAG = re.compile(r"[\"'<>]")
# What a mark begins, and what ends that. A text ends with the next mark, a tag outside of quotes.
_MARKS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>", "<!DOCTYPE": None}
_FENCE = "```"


def _before(closed: list[AddableDict], wrong: Exception) -> Iterator[AddableDict]:
    """What had closed when something was wrong comes first, however the text was cut."""
    yield from closed
    raise wrong


class _Scanner:
    """Text in pieces of any size to whole tokens. Handed to `token`: a tag or other markup, with
    the text before it where `keeps` says so; to `prose`: text, where it does not."""

    def __init__(self) -> None:
        self.at = 0  # where the piece at hand begins, in the whole text
        self.start = 0  # where the mark at hand began
        self.keeps = False
        self.fenced = False  # behind the fence after the end: what follows is not looked at
        self.held: list[str] = []
        self._mark = ""
        self._end = ""
        self._quote = ""
        self._tail = ""
        self._read: Callable[[str, int], int] = self._in_text

    def token(self, text: str, is_tag: bool) -> None:
        raise NotImplementedError

    def prose(self, text: str) -> None:
        raise NotImplementedError

    def scan(self, piece: str) -> None:
        i = 0
        while i < len(piece) and not self.fenced:
            i = self._read(piece, i)
        self.at += len(piece)

    def _in_text(self, piece: str, i: int) -> int:
        found = piece.find("<", i)
        end = len(piece) if found < 0 else found
        if self.keeps:
            self.held.append(piece[i:end])
        else:
            self.prose(piece[i:end])
        return end if found < 0 else self._begin(end)

    def _begin(self, i: int) -> int:
        self.start, self._mark, self._read = self.at + i, "<", self._in_mark
        return i + 1

    def _in_mark(self, piece: str, i: int) -> int:
        """Long enough to know what it begins; at most nine characters."""
        mark = self._mark = self._mark + piece[i]
        known = mark.upper()
        if known in _MARKS:
            end = _MARKS[known]
            if end is None:
                raise XmlSyntaxError("a document type declaration, which is refused", self.start)
            self.held.append(mark)
            self._end, self._tail, self._read = end, "", self._in_markup
            return i + 1
        if known[1] == "!" and any(one.startswith(known) for one in _MARKS):
            return i + 1
        if self.keeps or (len(mark) == 2 and (mark[1].isalpha() or mark[1] in "_/")):
            self.held.append(mark[:-1])  # where it is no tag, the parser says so
            self._quote, self._read = "", self._in_tag
        else:
            self._read = self._in_text  # as in "a < b"
        return i

    def _in_markup(self, piece: str, i: int) -> int:
        window = self._tail + piece[i:]
        found = window.find(self._end)
        if found < 0:
            self._tail = window[1 - len(self._end) :]
            self.held.append(piece[i:])
            return len(piece)
        end = i + found + len(self._end) - len(self._tail)
        self._whole(piece[i:end], False)
        return end

    def _in_tag(self, piece: str, i: int) -> int:
        for match in _IN_TAG.finditer(piece, i):
            sign, end = match[0], match.end()
            if sign == "<":
                if not self.keeps:  # it was none: begin again here
                    self.held.clear()
                    return self._begin(end - 1)
                self._whole(piece[i:end], True)  # an error: let it be said
                return end
            if self._quote:
                self._quote = "" if sign == self._quote else self._quote
            elif sign != ">":
                self._quote = sign
            else:
                self._whole(piece[i:end], True)
                return end
        self.held.append(piece[i:])
        return len(piece)

    def _whole(self, last: str, is_tag: bool) -> None:
        text = "".join([*self.held, last])
        self.held.clear()
        self._read = self._in_text
        self.token(text, is_tag)


class _Reader(_Scanner):
    """The machine: text in, closed elements out."""

    def __init__(self, parser: str) -> None:
        super().__init__()
        self._tree = _Tree()
        self._parser: Any = None
        self._make = _PARSERS[parser]()
        self._texts: list[str] = []
        self._begins = 0  # where the XML begins in the whole text
        self._over = False
        self._ticks = ""
        self._first: int | None = None  # where there was a mark that is no start tag

    def feed(self, chunk: Any) -> Iterable[AddableDict]:
        text = text_of(chunk)
        self._texts.append(text)
        wrong: OutputParserException | None = None
        if not self.fenced:
            try:
                self._saying(self.scan, text)
            except OutputParserException as error:
                wrong = error
        closed, self._tree.closed = self._tree.closed, []
        return closed if wrong is None else _before(closed, wrong)

    def finish(self) -> Iterator[AddableDict]:
        if not self._over:
            self._saying(self._ended_early)
        yield from ()

    def prose(self, text: str) -> None:
        if self._over and not self.fenced:
            seen = self._ticks + text
            self.fenced = _FENCE in seen
            self._ticks = seen[-2:]

    def token(self, text: str, is_tag: bool) -> None:
        if self.keeps:
            self._tree.at = self.start
            self._parser.feed(text)
            if not self._tree.open:
                self._parser.close()
                self.keeps, self._over = False, True
        elif not is_tag or self.fenced or not _START_TAG.fullmatch(text):
            self._ticks = ""
            if is_tag and self._first is None:
                self._first = self.start
        elif self._over:
            raise XmlSyntaxError(
                f"a second outermost element, {text[:40]!r}: one has to hold all others", self.start
            )
        else:
            self.keeps, self._begins = True, self.start
            self._parser = self._make(self._tree)
            self.token(text, True)

    def _ended_early(self) -> None:
        if self._tree.open:
            node = self._tree.open[-1]
            raise XmlSyntaxError(
                f"the text ends before </{node.tag}>, whose <{node.tag}> is at character {node.at}",
                self.at,
            )
        at = self.at if self._first is None else self._first
        raise XmlSyntaxError("no start tag of an element", at)

    def _saying(self, step: Callable[..., None], *args: Any) -> None:
        """Run a step; whatever is wrong with the XML becomes the one error, with its place."""
        try:
            step(*args)
        except XmlSyntaxError as error:
            raise self._failed(error) from error
        except SyntaxError as error:  # as ElementTree's ParseError is
            line, column = getattr(error, "position", (1, 0))
            reason = re.sub(r": line \d+, column \d+$", "", str(error))
            wrong = XmlSyntaxError(reason, self._begins + self._offset(line) + column)
            wrong.__cause__ = error
            raise self._failed(wrong) from wrong
        except ValueError as error:  # as defusedxml's are
            wrong = XmlSyntaxError(f"{error!r}, which is refused", self.start)
            wrong.__cause__ = error
            raise self._failed(wrong) from wrong

    def _offset(self, line: int) -> int:
        text = "".join(self._texts)[self._begins :]
        ends = [match.end() for match in re.finditer(r"\r\n|\r|\n", text)]
        return 0 if line < 2 else ends[line - 2]

    def _failed(self, error: XmlSyntaxError) -> OutputParserException:
        text = "".join(self._texts)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return OutputParserException(
            f"Failed to parse the model's output as XML: {error} The output: {shown!r}",
            llm_output=text,
        )
