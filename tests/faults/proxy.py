"""A TCP proxy before PostgreSQL's socket: slow, deaf, or cut in the midst of a commit."""

import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Literal

_CHUNK = 65_536
_COMMIT = b"COMMIT"


class Proxy:
    """Forwards 127.0.0.1:`port` to a server's socket. delay_s: before each packet of a client. deaf: nobody is let in.

    `cut_at`: the next commit is cut off: "before" the server hears of it, or "after" it was made, before the client
    hears of that. `cuts` counts them.
    """

    def __init__(self, server: Path) -> None:
        self.delay_s = 0.0
        self.cut_at: Literal["", "before", "after"] = ""
        self.cuts = 0
        self._deaf = False
        self._server = server
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_all(self) -> None:
        """End all connections."""
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def be_deaf(self, deaf: bool) -> None:
        """Let nobody in any more, and end all connections; or let clients in again."""
        self._deaf = deaf
        if deaf:
            self.cut_all()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with self._lock:
            self._open |= {client, server}
        with client, server:
            with contextlib.suppress(OSError):
                if not self._deaf:
                    server.connect(str(self._server))
                    back = threading.Thread(target=self._back, args=(server, client), daemon=True)
                    back.start()
                    self._forth(client, server)
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {client, server}

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        while said := client.recv(_CHUNK):
            if self.delay_s:
                time.sleep(self.delay_s)
            cut = self._cuts(said)
            if cut == "before":
                return
            if cut == "after":  # the answer must not reach the client, and the commit must be made
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                server.sendall(said)
                time.sleep(0.3)
                return
            server.sendall(said)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := server.recv(_CHUNK):
                client.sendall(said)
            client.shutdown(socket.SHUT_RDWR)

    def _cuts(self, said: bytes) -> str:
        with self._lock:
            if not self.cut_at or _COMMIT not in said:
                return ""
            cut, self.cut_at = self.cut_at, ""
            self.cuts += 1
            return cut
