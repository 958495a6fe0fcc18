"""Servers that record every byte they see and misbehave as told, and clients that send exactly what a test says.

No HTTP library stands between a test and the wire for HTTP/1.1; HTTP/2 frames come from `h2`, used without its checks where a
test wants to be rude.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Optional, Union

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import hpack

Header = tuple[bytes, bytes]
PATIENCE = 10.0


@dataclass
class Message:
    """Headers, body and trailers of a request or a response. Names are lower case; order and repetition are kept."""

    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    trailers: list[Header] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == name.encode()]

    def one(self, name: str) -> Optional[str]:
        values = self.all(name)
        assert len(values) <= 1, f"`{name}` came {len(values)} times"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Request(Message):
    """What a server saw."""

    method: str = ""
    target: str = ""


@dataclass
class Response(Message):
    """What a client got. `status` is 0 where the stream ended without a response."""

    status: int = 0
    whole: bool = True


@dataclass
class Answer:
    """What a server shall do with a request."""

    status: int = 200
    headers: list[tuple[str, Union[str, bytes]]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    chunked: bool = False
    length: Optional[int] = None  # states this content-length instead of the true one
    cut: Optional[int] = None  # closes the connection after so many bytes of the body
    hold: Optional[threading.Event] = None  # answers only once this is set
    reset: bool = False  # resets the connection instead of answering
    interim: list[tuple[str, str]] = field(default_factory=list)  # headers of a 103 that goes before; over HTTP/1.1
    metadata: list[tuple[str, str]] = field(default_factory=list)  # goes behind the headers as a METADATA frame; over HTTP/2
    pieces: Optional[Iterable[bytes]] = None  # sent one by one as chunks, in place of the body; with `cut` their end is left out


def answer_json(value: Any, status: int = 200, **fields: Any) -> Answer:
    """An answer with a JSON body; `value` may be the bytes to send."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    fields.setdefault("headers", []).append(("content-type", "application/json"))
    return Answer(status=status, body=body, **fields)


class Server:
    """An HTTP server on a port of its own. With `listening=False` connections are refused until `open`."""

    def __init__(self, name: str, answer: Callable[[Request], Answer], *, h2: bool = False, listening: bool = True):
        self.name, self.answer, self.default, self.h2 = name, answer, answer, h2
        self.seen: list[Request] = []
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._socket: Optional[socket.socket] = None
        self.port = self._bind(0)
        if listening:
            self.open()

    def _bind(self, port: int) -> int:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        return self._socket.getsockname()[1]

    def open(self) -> None:
        """Accepts connections from now on."""
        assert self._socket is not None
        self._socket.listen(64)
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def close(self, *, keep_port: bool = False) -> None:
        """Ends all connections; with `keep_port` the port stays ours and refuses until `open`."""
        listening, self._socket = self._socket, None
        if listening:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if keep_port:
            self._bind(self.port)

    def fresh(self) -> "Server":
        """Forgets what it saw and answers as it did at first."""
        with self._changed:
            self.seen.clear()
            self.answer = self.default
        return self

    def always(self, answer: Callable[[Request], Answer]) -> None:
        """Answers so from now on, also after `fresh`."""
        with self._changed:
            self.answer = self.default = answer

    def wait(self, count: int = 1) -> Request:
        """The request of that number, once it is there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, PATIENCE), f"{self.name} was not asked {count} times"
            return self.seen[count - 1]

    def _note(self, request: Request) -> Answer:
        with self._changed:
            self.seen.append(request)
            answer = self.answer
            self._changed.notify_all()
        return answer(request)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                (self._serve_h2 if self.h2 else self._serve_http1)(connection)
        except (OSError, EOFError, h2.exceptions.ProtocolError):
            pass
        finally:
            self._connections.discard(connection)

    def _serve_http1(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        while True:
            head = read_head(reader)
            if not head:
                return
            method, target, _ = head[0].decode("latin-1").split(" ", 2)
            request = Request(method=method, target=target, headers=[header(line) for line in head[1:]])
            request.body, request.trailers = read_body(reader, request)
            answer = self._note(request)
            if answer.hold:
                answer.hold.wait(PATIENCE)
            if answer.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if answer.interim:
                connection.sendall(head_of("HTTP/1.1 103 Early Hints", answer.interim))
            connection.sendall(head_of(f"HTTP/1.1 {answer.status} X", self._framed(answer)))
            if answer.pieces is not None:
                for piece in answer.pieces:
                    connection.sendall(chunk(piece))
                if answer.cut is not None:
                    return
                connection.sendall(chunked(b"", answer.trailers))
                continue
            body = answer.body if answer.cut is None else answer.body[: answer.cut]
            connection.sendall(chunked(body, answer.trailers if answer.cut is None else None) if self._is_chunked(answer) else body)
            if answer.cut is not None:
                return

    @staticmethod
    def _is_chunked(answer: Answer) -> bool:
        return answer.chunked or bool(answer.trailers) or answer.pieces is not None

    def _framed(self, answer: Answer) -> list[tuple[str, Union[str, bytes]]]:
        if self._is_chunked(answer):
            return [*answer.headers, ("transfer-encoding", "chunked")]
        return [*answer.headers, ("content-length", str(len(answer.body) if answer.length is None else answer.length))]

    def _serve_h2(self, connection: socket.socket) -> None:
        peer = h2_peer(client=False)
        peer.initiate_connection()
        connection.sendall(peer.data_to_send())
        open_requests: dict[int, Request] = {}
        while data := connection.recv(65536):
            for event in peer.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    pseudo = dict(event.headers[:4])
                    regular = [(key, value) for key, value in event.headers if not key.startswith(b":")]
                    open_requests[event.stream_id] = Request(
                        method=pseudo[b":method"].decode(), target=pseudo[b":path"].decode(), headers=regular)
                elif isinstance(event, h2.events.DataReceived):
                    open_requests[event.stream_id].body += event.data
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.TrailersReceived):
                    open_requests[event.stream_id].trailers = list(event.headers)
                elif isinstance(event, h2.events.StreamEnded):
                    answer = self._note(open_requests.pop(event.stream_id))
                    if answer.hold:
                        answer.hold.wait(PATIENCE)
                    if answer.reset:
                        peer.reset_stream(event.stream_id)
                        continue
                    headers = [(":status", str(answer.status)), *answer.headers]
                    body = answer.body if answer.pieces is None else b"".join(answer.pieces)
                    # Who asked may have reset the stream by now.
                    with suppress(h2.exceptions.ProtocolError):
                        if answer.metadata:
                            peer.send_headers(event.stream_id, headers)
                            connection.sendall(peer.data_to_send() + metadata(event.stream_id, answer.metadata))
                            peer.send_data(event.stream_id, body, end_stream=True)
                        else:
                            send_h2(peer, event.stream_id, headers, body, answer.trailers)
                connection.sendall(peer.data_to_send())


# ---- clients -------------------------------------------------------------------------------------------------------------

class Http1:
    """One HTTP/1.1 connection, sent to step by step; over TLS with a `context`."""

    def __init__(self, port: int, context: Optional[ssl.SSLContext] = None):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if context:
            self._socket = context.wrap_socket(self._socket, server_hostname="gateway.example")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Sends; a peer that has already answered and closed is no failure."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def status(self) -> int:
        """Reads a response that is a head only, as that to a CONNECT or HEAD."""
        head = read_head(self._reader)
        return int(head[0].split(b" ")[1]) if head else 0

    def response(self) -> Response:
        """Reads one response. One that ends early is not `whole`."""
        response = Response(whole=False)
        try:
            while response.status < 200:
                head = read_head(self._reader)
                if not head:
                    return response
                response.status = int(head[0].split(b" ")[1])
            response.headers = [header(line) for line in head[1:]]
            if response.status not in (204, 304):
                response.body, response.trailers = read_body(self._reader, response, to_end=True)
            response.whole = True
        except EOFError as error:
            response.body = error.args[0] if error.args else b""
        except ConnectionResetError:
            pass
        return response

    def head(self) -> Response:
        """Reads a response's head; its chunks come from `chunk`."""
        head = read_head(self._reader)
        return Response(status=int(head[0].split(b" ")[1]) if head else 0, headers=[header(line) for line in head[1:]])

    def chunk(self) -> bytes:
        """Reads one chunk; nothing at the end of the body. EOFError where the body ends early."""
        size = self._reader.readline()
        if not size.endswith(b"\n"):
            raise EOFError
        count = int(size.split(b";")[0], 16)
        if count == 0:
            read_head(self._reader)
            return b""
        part = self._reader.read(count)
        if len(part) < count or len(self._reader.readline()) < 2:
            raise EOFError
        return part

    def is_closed(self) -> bool:
        """Whether the peer has closed, once it does."""
        try:
            return self._reader.read(1) == b""
        except OSError:
            return True

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> "Http1":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Http2:
    """One HTTP/2 connection (prior knowledge) with one stream at a time, sent to step by step."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        # Every byte that came while a response was read, for what `h2` does not tell.
        self.received = b""
        self._peer = h2_peer(client=True)
        self._peer.initiate_connection()
        # What came while a body was sent.
        self._early: list = []
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._peer.data_to_send())

    def headers(self, headers: Iterable[tuple[str, str]], *, end: bool = False) -> int:
        """Opens a stream."""
        stream = self._peer.get_next_available_stream_id()
        self._peer.send_headers(stream, list(headers), end_stream=end)
        self._flush()
        return stream

    def data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._peer.send_data(stream, data, end_stream=end)
        self._flush()

    def body(self, stream: int, data: bytes) -> None:
        """Sends a whole body as the peer's windows let it. Ends early where the peer has answered already."""
        at = 0
        while at < len(data):
            room = min(self._peer.local_flow_control_window(stream), self._peer.max_outbound_frame_size, len(data) - at)
            if room > 0:
                self.data(stream, data[at:at + room], end=at + room == len(data))
                at += room
                continue
            more = self._socket.recv(65536)
            self._early += self._peer.receive_data(more) if more else []
            self._flush()
            if not more or any(isinstance(event, (h2.events.ResponseReceived, h2.events.StreamReset)) for event in self._early):
                return

    def trailers(self, stream: int, trailers: Iterable[tuple[str, str]]) -> None:
        self._peer.send_headers(stream, list(trailers), end_stream=True)
        self._flush()

    def reset(self, stream: int) -> None:
        self._peer.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def response(self, stream: int) -> Response:
        """Reads the stream's response. One that is reset is not `whole`."""
        response = Response(whole=False)
        while self._early or (data := self._socket.recv(65536)):
            self.received += b"" if self._early else data
            ended = False
            early, self._early = self._early, []
            for event in early or self._peer.receive_data(data):
                if getattr(event, "stream_id", None) not in (None, stream):
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    response.status = int(dict(event.headers)[b":status"])
                    response.headers = [(key, value) for key, value in event.headers if not key.startswith(b":")]
                elif isinstance(event, h2.events.DataReceived):
                    response.body += event.data
                    self._peer.acknowledge_received_data(event.flow_controlled_length, stream)
                elif isinstance(event, h2.events.TrailersReceived):
                    response.trailers = list(event.headers)
                elif isinstance(event, h2.events.StreamEnded):
                    response.whole = ended = True
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    ended = True
            self._flush()
            if ended:
                break
        return response

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Http2":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# ---- HTTP/1.1 by hand ----------------------------------------------------------------------------------------------------

def head_of(first: str, headers: Iterable[tuple[Union[str, bytes], Union[str, bytes]]]) -> bytes:
    """A message's first line and headers, as bytes."""
    lines = [first.encode("latin-1"), *(raw(name) + b": " + raw(value) for name, value in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def raw(text: Union[str, bytes]) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def chunked(body: bytes, trailers: Optional[Iterable[tuple[str, str]]] = ()) -> bytes:
    """A chunked body; `trailers=None` leaves its end out."""
    middle = max(1, len(body) // 2)
    parts = [part for part in (body[:middle], body[middle:]) if part]
    text = b"".join(chunk(part) for part in parts)
    if trailers is None:
        return text
    return text + b"0\r\n" + b"".join(raw(name) + b": " + raw(value) + b"\r\n" for name, value in trailers) + b"\r\n"


def chunk(part: bytes) -> bytes:
    """One chunk; none for nothing, which would be the end."""
    return b"%x\r\n%s\r\n" % (len(part), part) if part else b""


def read_head(reader: Any) -> list[bytes]:
    lines: list[bytes] = []
    while True:
        line = reader.readline()
        if not line.endswith(b"\n"):
            return []
        line = line.rstrip(b"\r\n")
        if not line:
            return lines
        lines.append(line)


def header(line: bytes) -> Header:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


def read_body(reader: Any, message: Message, *, to_end: bool = False) -> tuple[bytes, list[Header]]:
    """The body and trailers that the headers announce; EOFError carries what came where it ends early."""
    if message.one("transfer-encoding") == "chunked":
        body = b""
        while True:
            size = reader.readline()
            if not size.endswith(b"\n"):
                raise EOFError(body)
            count = int(size.split(b";")[0], 16)
            if count == 0:
                return body, [header(line) for line in read_head(reader)]
            part = reader.read(count)
            body += part
            if len(part) < count or len(reader.readline()) < 2:
                raise EOFError(body)
    length = message.one("content-length")
    if length is None:
        return (reader.read() if to_end else b""), []
    body = reader.read(int(length))
    if len(body) < int(length):
        raise EOFError(body)
    return body, []


# ---- HTTP/2 --------------------------------------------------------------------------------------------------------------

def h2_peer(*, client: bool) -> h2.connection.H2Connection:
    """A peer that does not check what it sends: tests may be rude."""
    config = h2.config.H2Configuration(
        client_side=client, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False)
    return h2.connection.H2Connection(config)


METADATA = 0x4D


def metadata(stream: int, pairs: Iterable[tuple[str, str]]) -> bytes:
    """A METADATA frame, an extension that Envoy knows: its pairs come compressed like headers."""
    block = hpack.Encoder().encode(list(pairs))
    return len(block).to_bytes(3, "big") + bytes([METADATA, 0x4]) + stream.to_bytes(4, "big") + block


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """The kinds and contents of the HTTP/2 frames in what a peer sent."""
    found, at = [], 0
    while at + 9 <= len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        found.append((data[at + 3], data[at + 9 : at + 9 + size]))
        at += 9 + size
    return found


def send_h2(peer: h2.connection.H2Connection, stream: int, headers: list, body: bytes, trailers: list) -> None:
    peer.send_headers(stream, headers, end_stream=not body and not trailers)
    for at in range(0, len(body), peer.max_outbound_frame_size):
        part = body[at:at + peer.max_outbound_frame_size]
        peer.send_data(stream, part, end_stream=not trailers and at + len(part) == len(body))
    if trailers:
        peer.send_headers(stream, trailers, end_stream=True)
