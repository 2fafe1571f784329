"""What an agent without URLs in its configuration does not pay for."""

from __future__ import annotations

import subprocess
import sys


def test_httpx_is_imported_only_where_a_list_has_a_url() -> None:
    code = """
import sys
from probe.discovery import TargetWatcher
from probe.model.spec import FileSource, HttpSource, TargetList
TargetWatcher(TargetList("stores", files=(FileSource("stores.yaml"),)))
assert "httpx" not in sys.modules
TargetWatcher(TargetList("stores", http=(HttpSource("http://127.0.0.1/"),)))
assert "httpx" in sys.modules
assert "click" not in sys.modules, "httpx brought its command line client along"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
