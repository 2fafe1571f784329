"""Target lists, through ``TargetWatcher`` from a file or a URL, and the reader of ``validate``.

The first byte chooses: a YAML file, a JSON file, or the bytes of an HTTP server's answer.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from probe.discovery import TargetWatcher
from probe.documents.problem import DocumentError
from probe.documents.targets import load_targets
from probe.model.spec import FileSource, HttpSource, TargetList
from tests.fuzz.loopback import Loopback
from tests.fuzz.target import SEPARATOR, Finding, Target, in_virtual_time

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-lists-"))
_EXAMPLE = Path(__file__).parents[2] / "config" / "targets" / "stores.yaml"
_SERVER = Loopback()

_JSON = json.dumps(
    [
        {"targets": ["shop.example", "shop.example:8443", "[2001:db8::1]:443"]},
        {"targets": ["bücher.example"], "labels": {"store": "1", "__meta": "x", "n": 1.5}},
    ],
    ensure_ascii=False,
).encode()


def run(data: bytes) -> None:
    """Look twice; the file is also read strictly. No look may raise."""
    way, document = data[:1], data[1:]
    if way == b"u":
        found = in_virtual_time(_from_url, document, patience=0.001)
    else:
        path = _FOLDER / ("list.json" if way == b"j" else "list.yaml")
        path.write_bytes(document)
        found = in_virtual_time(_from_file, path, patience=0.05)
        try:
            strict = load_targets(path)
        except DocumentError:
            strict = ()
        if strict and found.statuses[0].problems:
            raise Finding(f"validate accepts what an agent rejects: {found.statuses}")
    for target in found.targets:
        if not target.name.isascii() or not target.label.isprintable():
            raise Finding(f"{target!r} is no name")
    for status in found.statuses:
        if not all(problem.isprintable() for problem in status.problems):
            raise Finding(f"a problem that no log can show: {status.problems!r}")
        if status.up and len(found.targets) + status.duplicates != status.targets:
            raise Finding(f"counted wrongly: {status}")


async def _from_file(path: Path) -> TargetWatcher:
    watcher = TargetWatcher(TargetList("stores", files=(FileSource(str(path)),)))
    await watcher.look()
    return watcher


async def _from_url(answers: bytes) -> TargetWatcher:
    url = f"http://127.0.0.1:{_SERVER.port}/targets"
    watcher = TargetWatcher(TargetList("stores", http=(HttpSource(url, timeout=5.0),)))
    async with _SERVER.answering(answers.split(SEPARATOR)):
        await watcher.look()
        await watcher.look()
    return watcher


def seeds() -> list[bytes]:
    """Lists as people write them."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
    answer = head % (len(_JSON), _JSON)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /lists\r\nContent-Length: 0\r\n\r\n"
    return [
        b"y" + _EXAMPLE.read_bytes(),
        b"y- targets: [a.example, 192.0.2.1, 'b.example:1']\n  labels: {store: 0x1F, on: yes}\n",
        b"y- &a\n  targets:\n  - c.example\n- *a\n- <<: *a\n  labels: {x: |\n    text}\n",
        b"j" + _JSON,
        b"j[]",
        b"u" + answer,
        b"u" + SEPARATOR.join([moved, chunked, answer]),
    ]


def words() -> list[bytes]:
    """What means something in lists."""
    texts = "targets labels - : [ ] { } &a *a <<: !!str !!binary \\u0000 \\ud800 null 1e999 xn--a ."
    return [SEPARATOR, *(word.encode() for word in texts.split())]


TARGET = Target(run, seeds, words)
