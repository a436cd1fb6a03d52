# SPDX-License-Identifier: MIT
"""What TLS takes: an authority of our own, nginx in front of a server, and a proxy for tunnels."""

import base64
import contextlib
import os
import select
import socket
import socketserver
import subprocess
import threading

from daemon import eventually

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """Signs certificates; `ca` is the file that its friends trust."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        self.ca, self.ca_key = folder / f"{name}.pem", folder / f"{name}.key"
        self.openssl("req", "-x509", *KEY, "-keyout", self.ca_key, "-out", self.ca, "-days", 2,
                     "-subj", f"/CN={name}")  # fmt: skip
        self.ca.chmod(0o644)

    def openssl(self, *words):
        done = subprocess.run(["openssl", *map(str, words)], cwd=self.folder, capture_output=True,
                              text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def certificate(self, name, days=2):
        """(certificate, key) for 127.0.0.1."""
        request, out, key = (self.folder / f"{name}.{end}" for end in ("csr", "pem", "key"))
        self.openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                     "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-days",
                     days, "-copy_extensions", "copy", "-out", out)  # fmt: skip
        return out, key


class Front:
    """nginx that speaks TLS for a server on a plain port. Its listening socket is made here, so
    that the port stays the same when it is started again."""

    def __init__(self, folder, upstream, certificate, http2=True, more=""):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""
        paths = "".join(
            f"{kind}_temp_path {kind}; "
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"""daemon off; pid nginx.pid; error_log error.log; {user}
            events {{ worker_connections 1024; }}
            http {{
                {paths} client_max_body_size 0; proxy_buffering off; proxy_next_upstream off;
                log_format one '$server_protocol $connection $request_method $status';
                access_log access.log one;
                upstream server {{ server 127.0.0.1:{upstream}; keepalive 64; }}
                proxy_http_version 1.1; proxy_set_header Connection ''; proxy_read_timeout 600;
                server {{
                    listen 127.0.0.1:{self.port} ssl {"http2" if http2 else ""};
                    ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};
                    {more}
                    location / {{ proxy_pass http://server; }}
                }}
            }}""",
            encoding="utf-8",
        )
        self.process = None
        self.start()

    def start(self):
        self.socket.listen(256)
        words = ["nginx", "-p", f"{self.folder}/", "-c", "nginx.conf", "-e",
                 str(self.folder / "error.log")]  # fmt: skip
        number = self.socket.fileno()
        self.process = subprocess.Popen(words, pass_fds=[number],
                                        env={**os.environ, "NGINX": f"{number};"})  # fmt: skip
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def close(self):
        self.stop()
        self.socket.close()

    def requests(self):
        """(protocol, number of the connection, method, status) of each that has ended."""
        path = self.folder / "access.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [tuple(line.split()) for line in lines]

    def posts(self, count):
        """The requests, once there are so many POSTs: nginx writes them down when it is done."""

        def are_there():
            posts = [request for request in self.requests() if request[2] == "POST"]
            return posts if len(posts) >= count else None

        return eventually(are_there, 10, f"{count} POSTs")


class Tunnel(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = self.request.recv(4096)
            if not piece:
                return
            head += piece
        self.server.heads.append(head.decode("latin-1"))
        line, *lines = head.decode("latin-1").split("\r\n")
        verb, where, _ = line.split(" ")
        assert verb == "CONNECT", line
        wanted = base64.b64encode(self.server.credentials.encode()).decode()
        if f"Proxy-Authorization: Basic {wanted}" not in lines:
            self.request.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n"
                                 b'Proxy-Authenticate: Basic realm="x"\r\n\r\n')  # fmt: skip
            return
        host, port = where.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as other:
            self.request.sendall(b"HTTP/1.1 200 Here you are\r\n\r\n")
            ends = {self.request: other, other: self.request}
            while True:
                for ready in select.select(list(ends), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    ends[ready].sendall(data)


class Proxy(socketserver.ThreadingTCPServer):
    """Makes tunnels for whoever says user and password."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, credentials):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.credentials, self.heads = credentials, []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


@contextlib.contextmanager
def proxy(credentials):
    it = Proxy(credentials)
    yield it
    it.shutdown()
    it.server_close()
