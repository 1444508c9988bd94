"""An OpenAI-compatible server for tests and benches that fails in the ways real ones do.

`python tests/endpoint_server.py --port 0 --latency-ms 20` prints {"port": N} when it listens
and ends when its stdin closes. Every field of `Options` is a flag, JSON where it is no text, and
may be changed by POST /control. In tests: `with Server(faults={"503": 0.1}) as server: ...`.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import subprocess
import sys
import threading
import urllib.request
from typing import Any, Self

from endpoint_answers import Json
from endpoint_rules import Endpoint, Options, Reply

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}
REASONS |= {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.buffer = endpoint, b""
        self.busy = self.counted = self.closing = False
        self.timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.busy:
            return
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        size = int(fields.get("content-length", 0))
        if len(self.buffer) < end + 4 + size:
            return
        payload, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
        method, path, _ = lines[0].split(" ", 2)
        self.busy, self.closing = True, fields.get("connection", "").lower() == "close"
        endpoint = self.endpoint
        self.counted = path.endswith("/completions")
        if self.counted:
            endpoint.arrived()
        key = fields.get("authorization", "").removeprefix("Bearer ")
        reply = endpoint.reply(method, path, key, payload)
        if reply.kind == "hang":
            return
        if reply.delay:
            self.timer = asyncio.get_running_loop().call_later(reply.delay, self.send, reply)
        else:
            self.send(reply)

    def send(self, reply: Reply) -> None:
        self.timer = None
        head = (
            f"HTTP/1.1 {reply.status} {REASONS[reply.status]}\r\nContent-Type: {reply.mime}\r\n"
            f"Content-Length: {len(reply.body)}\r\n{reply.headers}\r\n"
        ).encode()
        dropped = reply.kind == "drop"
        self.transport.write(head + (reply.body[: len(reply.body) // 2] if dropped else reply.body))
        if self.counted:
            self.endpoint.left(reply)
        self.busy = self.counted = False
        if dropped or self.closing:
            self.transport.close()
        elif self.buffer:
            self.data_received(b"")

    def connection_lost(self, problem: Exception | None) -> None:
        if self.timer:
            self.timer.cancel()
        if self.counted:
            self.endpoint.left(None)
            self.counted = False


async def serve(options: Options, host: str, port: int) -> None:
    """Listen until stdin closes."""
    endpoint, loop, over = Endpoint(options), asyncio.get_running_loop(), asyncio.Event()

    def watch() -> None:
        while os.read(0, 4096):
            pass
        loop.call_soon_threadsafe(over.set)

    listener = await loop.create_server(lambda: Connection(endpoint), host, port, backlog=4096)
    print(json.dumps({"port": listener.sockets[0].getsockname()[1]}), flush=True)
    threading.Thread(target=watch, daemon=True).start()
    await over.wait()


class Server:
    """The server as a subprocess, for a `with`; `url` is the base that clients are given."""

    def __init__(self, **options: Any) -> None:
        flags = [f"--{name.replace('_', '-')}={_flag(v)}" for name, v in options.items()]
        self.command = [sys.executable, __file__, "--port", "0", *flags]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdout
        self.root = f"http://127.0.0.1:{json.loads(self.process.stdout.readline())['port']}"
        self.url = self.root + "/v1"
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.communicate()

    def stats(self, full: bool = False) -> Json:
        """What happened since the last reset; `full`: all bodies in `answers`, not repeats only."""
        return self._ask("/stats?full" if full else "/stats")

    def control(self, **options: Any) -> Json:
        """Change options from now on; `reset=True` begins the statistics anew."""
        return self._ask("/control", json.dumps(options).encode())

    def _ask(self, path: str, payload: bytes | None = None) -> Json:
        with urllib.request.urlopen(self.root + path, payload, timeout=60) as answer:
            return dict(json.load(answer))


def _flag(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    for each in dataclasses.fields(Options):
        kind = str if each.type is str else json.loads
        default = argparse.SUPPRESS
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=kind, default=default)
    given = vars(parser.parse_args())
    host, port = given.pop("host"), given.pop("port")
    try:
        asyncio.run(serve(Options(**given), host, port))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
