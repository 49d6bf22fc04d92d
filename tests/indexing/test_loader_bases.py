"""What a loader or parser of one's own gets from its base, and blobs."""

from __future__ import annotations

import threading

import pytest
from pydantic import BaseModel

from headrace.document_loaders import BaseBlobParser, BaseLoader, Blob, BlobLoader
from headrace.documents import Document
from headrace.errors import ConfigError, InputError
from indexing.places import doc


class Lazy(BaseLoader):
    def __init__(self, fails=False):
        self.fails, self.closed, self.threads = fails, 0, set()

    def lazy_load(self):
        self.threads.add(threading.current_thread())
        try:
            yield doc("a")
            if self.fails:
                raise OSError("gone")
            yield doc("b")
        finally:
            self.closed += 1


class Eager(BaseLoader):
    def load(self):
        return [doc("a"), doc("b")]


@pytest.mark.parametrize("kind", [Lazy, Eager])
async def test_every_method_from_the_one_that_is_written(kind):
    expected = [doc("a"), doc("b")]
    assert kind().load() == list(kind().lazy_load()) == expected
    assert await kind().aload() == expected
    assert [each async for each in kind().alazy_load()] == expected


async def test_the_async_methods_read_in_a_worker_thread_and_close():
    loader = Lazy()
    documents = loader.alazy_load()
    async for _ in documents:
        break
    await documents.aclose()
    assert loader.closed == 1 and threading.current_thread() not in loader.threads


async def test_an_error_comes_after_the_documents_before_it():
    loader = Lazy(fails=True)
    documents = loader.alazy_load()
    assert await anext(documents) == doc("a")
    with pytest.raises(OSError, match="gone"):
        await anext(documents)
    assert loader.closed == 1


def test_a_loader_without_either_method():
    class Nothing(BaseLoader):
        pass

    with pytest.raises(NotImplementedError, match=r"Nothing has no lazy_load\(\)") as caught:
        Nothing().lazy_load()
    assert isinstance(caught.value, ConfigError)


def test_load_and_split():
    class Halves:
        def split_documents(self, documents):
            return [Document(d.page_content * 2) for d in documents]

    assert Eager().load_and_split(Halves()) == [doc("aa"), doc("bb")]


def test_load_and_split_by_default():
    class Long(BaseLoader):
        def lazy_load(self):
            yield Document("word " * 2_000)

    pieces = Long().load_and_split()
    assert len(pieces) == 3 and all(len(piece.page_content) <= 4_000 for piece in pieces)


def test_blobs_of_data():
    text, data = (
        Blob.from_data("äb", mime_type="text/plain"),
        Blob(data=b"\xe4b", encoding="latin1"),
    )
    assert text.as_bytes() == b"\xc3\xa4b" and data.as_bytes() == b"\xe4b"
    assert text.as_string() == data.as_string() == "äb"
    for blob in (text, data):
        with blob.as_bytes_io() as file:
            assert file.read() == blob.as_bytes()
    assert text.mimetype == "text/plain" and text.source is None
    assert repr(text) == "Blob(text/plain, 2 characters)"


def test_blobs_of_files(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"<p>")
    blob = Blob.from_path(path, metadata={"n": 1})
    assert blob.mimetype == "text/html" and blob.data is None
    assert blob.source == str(path) and blob.metadata == {"n": 1}
    assert Blob.from_path(path, guess_type=False).mimetype is None
    assert Blob.from_path(path, mime_type="x/y").mimetype == "x/y"
    assert Blob.from_path(path, metadata={"source": "web"}).source == "web"
    path.write_bytes(b"<h1>")  # read when it is asked for
    assert blob.as_string() == "<h1>" and blob.as_bytes() == b"<h1>"
    with blob.as_bytes_io() as file:
        assert file.read() == b"<h1>"
    assert file.closed


def test_blobs_compare_and_are_fields_of_models():
    class Upload(BaseModel):
        blob: Blob

    blob = Blob(data="x", metadata={"a": 1}, id=7)
    assert blob == Blob(data="x", metadata={"a": 1}, id="7") != Blob(data="y")
    assert (
        Upload(blob=blob).blob == Upload(blob={"data": "x", "metadata": {"a": 1}, "id": "7"}).blob
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "give 'data', or the 'path'"), ({"data": 3}, "is bytes or a string")],
    ids=["nothing", "number"],
)
def test_what_is_no_blob(given, said):
    with pytest.raises(InputError, match=said):
        Blob(**given)


def test_bytes_that_are_no_text():
    with pytest.raises(InputError, match="is no text in 'utf-8'"):
        Blob(data=b"\xff").as_string()
    with pytest.raises(InputError, match="give its encoding"):
        Blob(data=b"a", encoding="martian").as_string()


def test_a_parser_and_a_blob_loader_of_ones_own():
    class Lines(BaseBlobParser):
        def lazy_parse(self, blob):
            for line in blob.as_string().splitlines():
                yield doc(line)

    class Two(BlobLoader):
        def yield_blobs(self):
            yield Blob(data="a\nb")
            yield Blob(data="c")

    assert [each for blob in Two().yield_blobs() for each in Lines().parse(blob)] == [
        doc("a"), doc("b"), doc("c"),
    ]  # fmt: skip
