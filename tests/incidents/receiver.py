"""Takes what Alertmanager sends: webhooks, chat messages and mails, each with its time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery.

    Attributes:
        at: wall time, seconds since the epoch.
        to: ``page``, ``chat``, ``watchdog`` or ``mail``.
        body: the JSON document; of a mail, subject and text.
    """

    at: float
    to: str
    body: dict[str, Any]

    def alerts(self, status: str, says: str = "", **labels: str) -> list[dict[str, Any]]:
        """The alerts of a webhook with that status, these labels, and words in the summary."""
        return [
            alert
            for alert in self.body.get("alerts", ())
            if alert["status"] == status
            and labels.items() <= alert["labels"].items()
            and says in alert["annotations"]["summary"]
        ]


@dataclass(slots=True)
class Receiver:
    """Everything that has arrived."""

    url: str = ""
    mail: str = ""
    arrived: list[Received] = field(default_factory=list)

    def first(
        self, status: str, after: float = 0.0, says: str = "", **labels: str
    ) -> Received | None:
        """The first page since then that holds such an alert."""
        for one in list(self.arrived):
            if one.to == "page" and one.at >= after and one.alerts(status, says, **labels):
                return one
        return None


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on two ports that the system chooses."""
    receiver = Receiver()

    class Web(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.arrived.append(Received(time.time(), self.path.strip("/"), json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    class Mail(StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 mail.example")
            while line := self.rfile.readline().decode().strip():
                verb = line.split()[0].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    self.take()
                self.say("221 bye" if verb == "QUIT" else "250 mail.example")
                if verb == "QUIT":
                    return

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line.removeprefix(".") if line.startswith("..") else line)
            message = message_from_string("\n".join(lines))
            part = next(p for p in message.walk() if not p.is_multipart())
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            body = {"subject": message["Subject"], "text": content.decode()}
            receiver.arrived.append(Received(time.time(), "mail", body))

    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    mail = ThreadingTCPServer(("127.0.0.1", 0), Mail)
    web.daemon_threads = mail.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{web.server_address[1]}"
    receiver.mail = f"127.0.0.1:{mail.server_address[1]}"
    threads = [threading.Thread(target=one.serve_forever, args=(0.05,)) for one in (web, mail)]
    for thread in threads:
        thread.start()
    try:
        yield receiver
    finally:
        for server, thread in zip((web, mail), threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
