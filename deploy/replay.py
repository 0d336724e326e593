#!/usr/bin/env python3
"""Records a model's answers and replays them, so that a run can be repeated without the model.

  replay.py record --upstream URL --file FILE [--port N]   passes requests on and writes the answers down
  replay.py serve  --file FILE [--port N] [--delay MS]     answers from the file alone

The file has one JSON object a line: the request's key and what was answered. A request is known by its method, its
path and its body, whatever the order of members and without what differs from run to run (see VOLATILE and NOISE).
The same request asked again gets the next answer that was recorded for it; after the last one, the last one again.
A request that was never recorded gets status 500, a message that says so, and a line on standard error.

Prints "listening on http://127.0.0.1:PORT" when it is ready. Standard library only.
"""

import argparse
import hashlib
import http.client
import http.server
import json
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


def request_key(method, path, body):
    try:
        shape = still(json.loads(body)) if body else None
    except ValueError:
        shape = body.decode("utf-8", "replace")
    canonical = json.dumps([method, path, shape], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Recording:
    """The answers by request key, in the order in which they were given."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.answers = {}
        self.given = {}

    def read(self):
        with open(self.path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    entry = json.loads(line)
                    self.answers.setdefault(entry["key"], []).append(entry)
                except (ValueError, KeyError, TypeError):
                    raise SystemExit(f"replay: {self.path}:{number}: this is no recorded answer; record again")

    def next(self, key):
        with self.lock:
            answers = self.answers.get(key)
            if not answers:
                return None
            turn = self.given.get(key, 0)
            self.given[key] = turn + 1
            return answers[min(turn, len(answers) - 1)]

    def add(self, entry):
        with self.lock, open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "replay"

    def do_GET(self):
        self.handle_request()

    def do_POST(self):
        self.handle_request()

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        key = request_key(self.command, self.path, body)
        try:
            self.server.answer(self, key, body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # whoever asked has left

    def send(self, status, headers, text, delay=0):
        data = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        for event in re.findall(rb".*?\n\n|.+", data, re.S) if delay else [data]:
            self.wfile.write(event)
            self.wfile.flush()
            time.sleep(delay)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options, recording):
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        self.recording = recording


class Player(Server):
    def answer(self, handler, key, body):
        entry = self.recording.next(key)
        if entry:
            handler.send(entry["status"], entry["headers"], entry["text"], self.options.delay / 1000)
            return
        message = (
            f"replay: {handler.command} {handler.path} (request {key[:12]}) was never recorded: the prompt has changed "
            f"since {self.recording.path} was made; record again with a real model"
        )
        print(message, file=sys.stderr, flush=True)
        handler.send(500, {"Content-Type": "application/json"}, json.dumps({"error": {"message": message}}))


class Recorder(Server):
    def answer(self, handler, key, body):
        upstream = urllib.parse.urlsplit(self.options.upstream)
        kind = http.client.HTTPSConnection if upstream.scheme == "https" else http.client.HTTPConnection
        connection = kind(upstream.netloc, timeout=1800)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() in PASSED_ON}
            connection.request(handler.command, upstream.path.rstrip("/") + handler.path, body or None, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            kept = {name: value for name, value in reply.getheaders() if name.lower() in KEPT}
        except OSError as error:
            handler.send(502, {"Content-Type": "text/plain"}, f"replay: {self.options.upstream}: {error}\n")
            return
        finally:
            connection.close()
        if reply.status < 500:
            path = f"{handler.command} {handler.path}"
            self.recording.add({"key": key, "request": path, "status": reply.status, "headers": kept, "text": text})
        print(f"replay: recorded {key[:12]} ({reply.status}, {len(text)} characters)", file=sys.stderr, flush=True)
        handler.send(reply.status, kept, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["record", "serve"])
    parser.add_argument("--file", required=True)
    parser.add_argument("--upstream", help="where the real model listens, without /v1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--delay", type=int, default=0, help="ms between events, to look like a model")
    options = parser.parse_args()
    recording = Recording(options.file)
    if options.mode == "record":
        if not options.upstream:
            parser.error("record needs --upstream")
        server = Recorder(options, recording)
    else:
        recording.read()
        server = Player(options, recording)
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        raise SystemExit(f"replay: {error}")
