"""A night told to a real web server on this machine, and to commands."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.schedule.notify import notify, place

DOCUMENT = {"night": "faces@2026-03-29", "verdict": "fail", "findings": [{"metric": "top1", "cause": "model"}]}


class Hook(HTTPServer):
    """Keeps what it was sent, and answers with `answers`, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = [200]
        self.got: list[tuple[str, str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], json.loads(data)))
        answers = self.server.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_one_document_of_json(hook: Hook) -> None:
    said: list[str] = []
    assert notify(f"{hook.url}/${{HOOK}}", DOCUMENT, said.append, environment={"HOOK": "secret-path"})
    assert hook.got == [("/secret-path", "application/json", DOCUMENT)]
    assert said == []


def test_a_webhook_that_is_busy_is_asked_again(hook: Hook) -> None:
    hook.answers = [503, 429, 200]
    assert notify(hook.url, DOCUMENT, pytest.fail, waits_s=(0, 0, 0))
    assert len(hook.got) == 3


@pytest.mark.parametrize(("answer", "calls"), [(503, 3), (404, 1), (302, 3)])
def test_a_webhook_that_refuses_is_a_warning_without_its_path(hook: Hook, answer: int, calls: int) -> None:
    hook.answers = [answer]
    said: list[str] = []
    assert not notify(f"{hook.url}/planted-secret", DOCUMENT, said.append, waits_s=(0, 0))
    assert said == [f"warning: faces@2026-03-29 could not be told to 127.0.0.1: it answered {answer}"]
    assert len(hook.got) == calls


def test_a_webhook_that_is_not_there_is_a_warning(hook: Hook) -> None:
    url = hook.url
    hook.shutdown()
    hook.server_close()
    said: list[str] = []
    assert not notify(f"{url}/planted-secret", DOCUMENT, said.append, waits_s=())
    assert said == ["warning: faces@2026-03-29 could not be told to 127.0.0.1: ConnectionRefusedError"]


@pytest.mark.parametrize("url", ["https://hooks.example.org/${HOOK}", "${HOOK}", "ftp://x/planted-secret", "http://"])
def test_an_address_that_is_none_is_a_warning(url: str) -> None:
    said: list[str] = []
    assert not notify(url, DOCUMENT, said.append, environment={}, waits_s=())
    assert len(said) == 1
    assert "planted-secret" not in said[0]


def test_a_command_gets_the_document_on_its_stdin(tmp_path: Path) -> None:
    target = tmp_path / "told.json"
    code = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    assert notify([sys.executable, "-c", code, str(target)], DOCUMENT, pytest.fail)
    assert json.loads(target.read_text()) == DOCUMENT


@pytest.mark.parametrize(
    "words", [["/nowhere/at-all", "planted-secret"], [sys.executable, "-c", "raise SystemExit(3)"]]
)
def test_a_command_that_fails_is_a_warning_without_its_arguments(words: list[str]) -> None:
    said: list[str] = []
    assert not notify(words, DOCUMENT, said.append)
    assert said[0].startswith("warning: faces@2026-03-29 could not be told to ")
    assert "planted-secret" not in said[0]


def test_only_the_host_of_a_webhook_is_shown() -> None:
    assert place("https://hooks.example.org/services/planted-secret") == "hooks.example.org"
    assert place("${HOOK}/x") == "${HOOK}"
    assert place(("mail", "planted-secret")) == "mail"
    assert place(None) == ""
