"""Every page of the documentation does what it says: its code runs and prints what it shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from docs.pages import ANYTHING, GUIDE, LANGUAGES, NOTHING, ROOT, blocks, links, pages, run, update

PAGES = pages()
UPDATE = os.environ.get("UPDATE_DOCS") == "1"


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _with_model(page: Path) -> bool:
    text = page.read_text(encoding="utf-8")
    return "init_chat_model(" in text or "ChatLocal(" in text


def _case(page: Path) -> object:
    marks = [pytest.mark.slow] if _with_model(page) else []  # the embedded model takes seconds
    return pytest.param(page, id=_name(page), marks=marks)


@pytest.mark.parametrize("page", [_case(page) for page in PAGES])
def test_the_code_runs_and_prints_what_the_page_shows(page: Path):
    outputs = run(page)
    if UPDATE:
        update(page, outputs)
        outputs = run(page)
    assert {o.where: o.got for o in outputs} == {o.where: o.expected for o in outputs}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_fence_says_what_it_is(page: Path):
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    assert [b for b in found if b.language not in LANGUAGES] == []
    fences = [line for line in text.splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(found)
    if GUIDE in page.parents:
        assert [b.line for b in found if b.excuse] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path):
    targets = links(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_guide_lists_its_pages_in_order():
    listed = [link for link in links((GUIDE / "index.md").read_text("utf-8")) if "/" not in link]
    assert listed == [page.name for page in sorted(GUIDE.glob("[0-9]*.md"))]


# ---- the tests above can fail -------------------------------------------------------------------

PAGE = """
# A page

```python
total = 2
print("total:", total)
```

Some words, then:

```text
total: 2
```

```python
for number in range(total):
    print(number, end="|")
```

```text
0|1|2|
```

- in a list

  ```python
  print(hash("x"))
  ```

  ```text title="for example"
  123
  ```

<!-- not run: it needs a key -->

```python
import nowhere
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_what_a_page_shows_is_compared_with_what_its_code_prints(page: Path):
    outputs = run(page)
    assert [(o.where, o.got, o.expected) for o in outputs] == [
        ("page.md:5", "total: 2", "total: 2"),
        ("page.md:16", "0|1|", "0|1|2|"),
        ("page.md:27", ANYTHING, ANYTHING),
    ]


def test_a_block_that_should_print_something_and_prints_nothing(page: Path):
    page.write_text(PAGE.replace('print(hash("x"))', "pass"), encoding="utf-8")
    assert run(page)[-1].got == NOTHING


def test_an_update_writes_what_was_printed(page: Path):
    update(page, run(page))
    assert page.read_text(encoding="utf-8") == PAGE.replace("0|1|2|", "0|1|")


def test_an_exception_names_the_line_of_the_page(page: Path):
    page.write_text(PAGE.replace("end=", "ende="), encoding="utf-8")
    with pytest.raises(TypeError) as caught:
        run(page)
    last = caught.traceback[-1]
    assert (Path(str(last.path)).name, last.lineno + 1) == ("page.md", 17)


def test_classes_of_a_page_find_its_names(page: Path):
    page.write_text(
        "```python\nfrom pydantic import BaseModel\n\nclass A(BaseModel):\n    b: 'B | None'\n\n"
        "class B(BaseModel):\n    c: int\n\nprint(A(b={'c': 1}))\n```\n\n```text\nb=B(c=1)\n```\n",
        encoding="utf-8",
    )
    (output,) = run(page)
    assert output.got == output.expected


def test_links_outside_of_code():
    text = "[a](b.md#c) [d](https://e.f) [g](#h) ![i](j/k.png)\n\n```text\n[l](m.md)\n```\n"
    assert links(text) == ["b.md", "j/k.png"]
