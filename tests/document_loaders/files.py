"""Files that the tests of loaders read, and the ways to read them."""

from __future__ import annotations

from contextlib import aclosing

import pypdf
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject


def told(documents):
    """Documents as pairs, which compare and show themselves well."""
    return [(each.page_content, each.metadata) for each in documents]


def loaded(colour, loader):
    """All documents, one at a time, in a colour."""

    async def each():
        async with aclosing(loader.alazy_load()) as documents:
            return [document async for document in documents]

    def body(doors):
        return doors.wait(each()) if doors.asynchronous else list(loader.lazy_load())

    return colour.run(body)


def write_pdf(path, pages, *, password=None, about=None, labels=None):
    """A PDF whose pages have these lines, in Helvetica."""
    writer = pypdf.PdfWriter()
    for lines in pages:
        page = writer.add_blank_page(300, 300)
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        named = DictionaryObject({NameObject(k): NameObject(v) for k, v in font.items()})
        fonts = DictionaryObject({NameObject("/F1"): named})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        shown = "".join(f"({line}) Tj 0 -20 Td " for line in lines)
        content.set_data(f"BT /F1 12 Tf 20 250 Td {shown}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    writer.add_metadata(about or {})
    if labels:
        writer.set_page_label(0, labels - 1, style="/r")
        writer.set_page_label(labels, len(pages) - 1, style="/D", start=1)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
