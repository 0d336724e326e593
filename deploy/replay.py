#!/usr/bin/env python3
"""Records a model's answers and replays them, so that a run can be repeated without the model.

  replay.py record --upstream URL --file FILE             passes requests on and writes the answers down
  replay.py serve  --file FILE [--delay MS | --latencies] answers from the file alone
  replay.py both   --upstream URL --file FILE             answers from the file; what it lacks is asked for and added

The file has one JSON object a line: the request's key, the request, what was answered, and when its pieces came. A
request is known by its method, its path and its body, whatever the order of members and without what differs from
run to run (see VOLATILE and NOISE). The same request asked again gets the next answer that was recorded for it; after
the last one, the last one again. A request that was never recorded gets status 501 (asking again is no use) and a
message with its key and what tells it from the nearest one that was; the same goes to standard error. Where the model
can be asked (both), only the same request to the letter is answered from the file. Upstream gets one request at a time,
and what it answers is written down also when whoever asked has left. A file whose name ends in .gz is compressed, and
can only be served.

Prints "listening on http://127.0.0.1:PORT" when it is ready. Standard library only.
"""

import argparse
import difflib
import gzip
import hashlib
import http.client
import http.server
import json
import os
import re
import sys
import threading
import time
import urllib.parse

VOLATILE = {"user", "metadata"}
NOISE = [
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x0"),  # addresses in reprs
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds)\b"), "0s"),  # how long tests took
]
PASSED_ON = {"content-type", "accept", "authorization", "x-api-key", "anthropic-version"}
KEPT = {"content-type", "retry-after"}


def still(value):
    """The body without what differs from run to run."""
    if isinstance(value, dict):
        return {name: still(member) for name, member in value.items() if name not in VOLATILE}
    if isinstance(value, list):
        return [still(member) for member in value]
    if isinstance(value, str):
        for pattern, text in NOISE:
            value = pattern.sub(text, value)
    return value


def digest_of(method, path, shape):
    canonical = json.dumps([method, path, shape], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def request_keys(method, path, body):
    """What a request is known by, and what it is known by to the letter."""
    try:
        value = json.loads(body) if body else None
    except ValueError:
        value = body.decode("utf-8", "replace")
    return digest_of(method, path, still(value)), digest_of(method, path, value)


def lines_of(shape):
    """A request as lines of text, to be compared by."""
    if not isinstance(shape, dict):
        return [json.dumps(shape)]
    out = []
    for name, member in sorted(shape.items()):
        if name != "messages" or not isinstance(member, list):
            out.append(f"{name}: {json.dumps(member, sort_keys=True, ensure_ascii=False)}")
            continue
        for message in member:
            content = message.get("content") if isinstance(message, dict) else message
            text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
            out.extend([f"message of {message.get('role')}:" if isinstance(message, dict) else "message:"])
            out.extend(text.splitlines())
    return out


class Recording:
    """The answers by request key, in the order in which they were given."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.answers = {}
        self.given = {}

    def read(self):
        opened = gzip.open if self.path.endswith(".gz") else open
        with opened(self.path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    entry = json.loads(line)
                    self.answers.setdefault(entry["key"], []).append(entry)
                except (ValueError, KeyError, TypeError):
                    raise SystemExit(f"replay: {self.path}:{number}: this is no recorded answer; record again")

    def mend(self):
        """Takes off a last line that was cut short: whoever wrote it was killed."""
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb+") as file:
            data = file.read()
            if data and not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)

    def next(self, key, exact, strict):
        """Two questions may differ in nothing but what is taken for noise: the one that is equal comes first."""
        with self.lock:
            alike = self.answers.get(key, [])
            answers = [entry for entry in alike if entry.get("exact", exact) == exact] or ([] if strict else alike)
            if not answers:
                return None
            known_by = answers[0].get("exact") or key
            turn = self.given.get(known_by, 0)
            self.given[known_by] = turn + 1
            return answers[min(turn, len(answers) - 1)]

    def add(self, entry):
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        with self.lock, open(self.path, "a", encoding="utf-8") as file:
            file.write(line)
            self.answers.setdefault(entry["key"], []).append(entry)
            self.given[entry["exact"]] = self.given.get(entry["exact"], 0) + 1

    def difference(self, body):
        """What tells a request from the nearest one that is known, in a few lines."""
        asked = lines_of(still(json.loads(body)) if body else None)
        known = [lines_of(still(all[0]["body"])) for all in self.answers.values() if "body" in all[0]]
        if not known:
            return "the recording keeps no request to compare with"
        wanted = set(asked)
        nearest = max(known, key=lambda lines: len(wanted & set(lines)) / len(wanted | set(lines)))
        changed = [
            line[:200]
            for line in difflib.unified_diff(nearest, asked, n=0, lineterm="")
            if not line.startswith(("---", "+++", "@@"))
        ]
        shown = changed[:12] + ([f"… and {len(changed) - 12} lines more"] if len(changed) > 12 else [])
        return "the nearest one that is differs by:\n" + "\n".join(shown)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "replay"

    def do_GET(self):
        self.handle_request()

    def do_POST(self):
        self.handle_request()

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        keys = request_keys(self.command, self.path, body)
        try:
            self.server.answer(self, keys, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has left

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status, headers, pieces):
        """Pieces are (seconds to wait before it, bytes)."""
        self.begin(status, {**headers, "Content-Length": str(sum(len(data) for _, data in pieces))})
        for pause, data in pieces:
            time.sleep(pause)
            self.wfile.write(data)
            self.wfile.flush()

    def complain(self, status, message):
        print(message, file=sys.stderr, flush=True)
        body = json.dumps({"error": {"message": message}}, ensure_ascii=False).encode()
        self.send(status, {"Content-Type": "application/json"}, [(0, body)])

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options, recording):
        super().__init__((options.host, options.port), Handler)
        self.options = options
        self.recording = recording


    def pieces_of(self, entry):
        data = entry["text"].encode()
        if self.options.latencies and entry.get("pieces"):
            ends = [0]
            for _, length in entry["pieces"]:
                ends.append(ends[-1] + length)
            return [(ms / 1000, data[ends[i] : ends[i + 1]]) for i, (ms, _) in enumerate(entry["pieces"])]
        if self.options.delay:
            return [(self.options.delay / 1000, event) for event in re.findall(rb".*?\n\n|.+", data, re.S)]
        return [(0, data)]

    def play(self, handler, keys):
        entry = self.recording.next(*keys, strict=self.options.mode != "serve")
        if entry:
            handler.send(entry["status"], entry["headers"], self.pieces_of(entry))
        return entry is not None


class Player(Server):
    def answer(self, handler, keys, body):
        if self.play(handler, keys):
            return
        handler.complain(
            501,
            f"replay: {handler.command} {handler.path} (request {keys[0][:12]}) was never recorded: the prompt has changed "
            f"since {self.recording.path} was made; record again with a real model; {self.recording.difference(body)}",
        )


class Stream:
    """An answer on its way to whoever asked, who may leave before its end."""

    def __init__(self, handler, reply, headers):
        self.handler = handler
        self.gone = False
        self.guarded(lambda: handler.begin(reply.status, {**headers, "Transfer-Encoding": "chunked"}))

    def guarded(self, action):
        try:
            if not self.gone:
                action()
                self.handler.wfile.flush()
        except OSError:
            self.gone = self.handler.close_connection = True

    def write(self, data):
        self.guarded(lambda: self.handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data)))

    def end(self):
        self.guarded(lambda: self.handler.wfile.write(b"0\r\n\r\n"))


class Recorder(Server):
    def __init__(self, options, recording):
        super().__init__(options, recording)
        self.upstream = urllib.parse.urlsplit(options.upstream)
        self.turn = threading.Semaphore(options.at_once)

    def connect(self):
        secure = self.upstream.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self.upstream.netloc, timeout=1800)

    def path_of(self, handler):
        """The upstream's address may be given with or without /v1."""
        base = self.upstream.path.rstrip("/")
        return base.removesuffix("/v1") + handler.path if handler.path.startswith("/v1/") else base + handler.path

    def answer(self, handler, keys, body):
        known = self.options.mode == "both"
        if known and self.play(handler, keys):
            return
        with self.turn:
            if known and self.play(handler, keys):  # somebody else has asked the same meanwhile
                return
            connection = self.connect()
            try:
                self.ask(connection, handler, keys, body)
            except (OSError, http.client.HTTPException) as error:
                handler.close_connection = True
                print(f"replay: {self.options.upstream}: {error or type(error).__name__}", file=sys.stderr, flush=True)
            finally:
                connection.close()

    def ask(self, connection, handler, keys, body):
        headers = {name: value for name, value in handler.headers.items() if name.lower() in PASSED_ON}
        last = time.monotonic()
        try:
            connection.request(handler.command, self.path_of(handler), body or None, headers)
            reply = connection.getresponse()
        except OSError as error:
            handler.complain(502, f"replay: {self.options.upstream}: {error}")
            return
        kept = {name: value for name, value in reply.getheaders() if name.lower() in KEPT}
        stream = Stream(handler, reply, kept)
        whole, pieces = b"", []
        while data := reply.read1(65536):
            now = time.monotonic()
            pieces.append([round((now - last) * 1000), len(data)])
            last = now
            whole += data
            stream.write(data)
        if reply.length:
            raise http.client.IncompleteRead(whole, reply.length)
        stream.end()
        if reply.status < 500 and reply.status != 429:
            self.recording.add(
                {
                    "key": keys[0],
                    "exact": keys[1],
                    "request": f"{handler.command} {handler.path}",
                    "body": json.loads(body) if body else None,
                    "status": reply.status,
                    "headers": kept,
                    "text": whole.decode(),
                    "pieces": pieces,
                }
            )
        print(f"replay: recorded {keys[0][:12]} ({reply.status}, {len(whole)} bytes)", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["record", "serve", "both"])
    parser.add_argument("--file", required=True)
    parser.add_argument("--upstream", help="where the real model listens")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="requests that the real model gets at a time")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--delay", type=int, default=0, help="ms before each event, to look like a model")
    parser.add_argument("--latencies", action="store_true", help="each piece takes as long as it took")
    options = parser.parse_args()
    if options.mode != "serve" and not options.upstream:
        parser.error(f"{options.mode} needs --upstream")
    if options.mode != "serve" and options.file.endswith(".gz"):
        parser.error(f"{options.file} is compressed, and nothing can be added to it: decompress it first")
    recording = Recording(options.file)
    if options.mode != "serve":
        recording.mend()
    if options.mode == "serve" or (options.mode == "both" and os.path.exists(options.file)):
        recording.read()
    server = (Player if options.mode == "serve" else Recorder)(options, recording)
    print(f"listening on http://{options.host}:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        raise SystemExit(f"replay: {error}")
