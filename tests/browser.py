"""Headless Chromium for tests, told what to do over a pipe (the DevTools protocol).

Commands go in on file descriptor 3 and answers come out on 4, each a JSON object that ends in a
zero byte; nothing listens on a port.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find_browser():
    """The path of a Chromium on this machine, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One Chromium with one page; what the page complains of is kept in `complaints`."""

    def __init__(self, program, folder: Path):
        commands, self._write = os.pipe()
        self._read, answers = os.pipe()
        self._buffer = b""
        self._count = 0
        self.complaints = []
        self.requests = []
        script = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        line = ["bash", "-c", script, "bash", str(commands), str(answers), program, *FLAGS]
        self._process = subprocess.Popen(
            [*line, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._session = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self):
        self._session = None
        try:
            self.send("Browser.close")
            self._process.wait(20)
        except (OSError, EOFError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def send(self, method, **params):
        """Send a command and wait for its answer."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._wait(lambda answer: answer.get("id") == number).get("result", {})

    def open(self, path: Path, *, width, height=900, scheme="light", scripts=True):
        """Show a file in a window of that size and wait until it is loaded."""
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.size(width, height)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])
        self.complaints.clear()
        self.requests.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        self._wait(lambda answer: answer.get("method") == "Page.loadEventFired")

    def size(self, width, height):
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, path: Path, *, top=0, height=None):
        """Write the page, or a stripe of it, to a PNG file."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": top,
            "width": size["width"],
            "height": height or size["height"],
            "scale": 1,
        }
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _wait(self, wanted):
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._read, 1 << 20)
                if not part:
                    raise EOFError("the browser has gone")
                self._buffer += part
            line, _, self._buffer = self._buffer.partition(b"\0")
            answer = json.loads(line)
            self._note(answer)
            if wanted(answer):
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer

    def _note(self, answer):
        method, params = answer.get("method"), answer.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(params["type"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
