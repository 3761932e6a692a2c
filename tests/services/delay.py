"""A server that is far away: a proxy on loopback that holds every request back for a while."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

_PIECE = 256 * 1024


@dataclass
class DelayingProxy:
    """Passes TCP on to `127.0.0.1:port`, with `delay_s` before each request: each time the client speaks again after
    the server did, as a round trip over a long line would take.

    Bytes are not changed, so signatures over the `Host` header hold. It runs in a thread of its own from `start` to
    `stop`; `requests` counts.
    """

    port: int
    delay_s: float = 0.030
    requests: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _address: Future[int] = field(default_factory=Future)
    _thread: threading.Thread | None = None

    def start(self) -> str:
        """Listen; returns the endpoint, `http://127.0.0.1:PORT`."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._address.result(timeout=10)}"

    def stop(self) -> None:
        """Close every connection; the proxy cannot be started again."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
            self._thread = None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._address.set_result(server.sockets[0].getsockname()[1])
        self._loop.run_forever()
        server.close()
        open_ones = asyncio.all_tasks(self._loop)
        for task in open_ones:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*open_ones, return_exceptions=True))
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        try:
            server, question = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            answer.close()
            return
        turn = _Turn()
        ways = self._there(client, question, turn), self._back(server, answer, turn)
        try:
            await asyncio.gather(*ways)
        finally:
            question.close()
            answer.close()

    async def _there(self, client: asyncio.StreamReader, question: asyncio.StreamWriter, turn: _Turn) -> None:
        with contextlib.suppress(OSError):
            while piece := await client.read(_PIECE):
                if turn.of_client:
                    turn.of_client = False
                    self.requests += 1
                    await asyncio.sleep(self.delay_s)
                question.write(piece)
                await question.drain()
        question.close()

    async def _back(self, server: asyncio.StreamReader, answer: asyncio.StreamWriter, turn: _Turn) -> None:
        with contextlib.suppress(OSError):
            while piece := await server.read(_PIECE):
                turn.of_client = True
                answer.write(piece)
                await answer.drain()
        answer.close()


@dataclass
class _Turn:
    """Whether the client's next words begin a request."""

    of_client: bool = True
