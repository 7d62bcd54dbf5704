"""A network that cuts connections: a relay to a port, which ends each after so many bytes."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def cutting(target: int, limits: Sequence[int]) -> Iterator[int]:
    """The relay's port. limits: bytes that the first connections may send; later ones have no limit."""
    remaining = list(limits)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return  # closed: the test is over
                limit = remaining.pop(0) if remaining else None
                threading.Thread(target=_relay, args=(caller, target, limit), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _relay(caller: socket.socket, target: int, limit: int | None) -> None:
    with caller, socket.create_connection(("127.0.0.1", target)) as api:
        back = threading.Thread(target=_pump, args=(api, caller, None), daemon=True)
        back.start()
        _pump(caller, api, limit)
        for end in (api, caller):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        back.join()


def _pump(source: socket.socket, sink: socket.socket, limit: int | None) -> None:
    moved = 0
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            moved += len(chunk)
            if limit is not None and moved > limit:
                return
            sink.sendall(chunk)
