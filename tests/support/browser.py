"""A real Chromium without a window, told what to do by the Chrome DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "--hide-scrollbars",
)  # fmt: skip
START_S, ANSWER_S = 60, 60


class Browser:
    """One page of a browser; a context manager.

    Attributes:
        faults: uncaught errors and what the page wrote to the console as an error or warning.
        requests: addresses that the page asked for.
    """

    def __init__(self, profile: Path) -> None:
        self.faults: list[str] = []
        self.requests: list[str] = []
        self._profile = profile
        self._number = 0
        self._loaded = False

    def __enter__(self) -> Self:
        assert PROGRAM
        self._process = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._runner = asyncio.Runner()
        try:
            self._runner.run(self._connect())
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "_session"):
            self._runner.run(self._session.close())
        self._runner.close()
        self._process.terminate()
        self._process.wait()

    async def _connect(self) -> None:
        noted = self._profile / "DevToolsActivePort"
        until = time.monotonic() + START_S
        while not (noted.exists() and noted.read_text().strip()):
            assert time.monotonic() < until and self._process.poll() is None, "the browser did not start"
            await asyncio.sleep(0.1)
        address = f"http://127.0.0.1:{noted.read_text().split()[0]}"
        self._session = aiohttp.ClientSession()
        while True:
            async with self._session.get(f"{address}/json") as answer:
                pages = [target for target in await answer.json() if target["type"] == "page"]
            if pages:
                break
            await asyncio.sleep(0.1)
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        return self._wait(self._call(method, params))

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(asyncio.wait_for(work, ANSWER_S))

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = json.loads((await self._socket.receive()).data)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str, what: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.faults.append(
                " ".join(str(argument.get("value", argument.get("description"))) for argument in what["args"])
            )
        elif event == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.faults.append(what["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Page.loadEventFired":
            self._loaded = True

    def open(self, page: Path | str, width: int = 1280, height: int = 900) -> None:
        """Open a file or an address in a window of a size in pixels and wait until it is loaded."""
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        url = page if isinstance(page, str) else page.resolve().as_uri()
        if url.partition("#")[2]:
            self.open("about:blank", width, height)  # or a page that differs after the # alone is not loaded anew
        self._loaded = False
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self.evaluate("0")
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 15) -> float:
        """Wait until an expression is true; the seconds that it took."""
        start = time.monotonic()
        while not self.evaluate(expression):
            assert time.monotonic() - start < timeout_s, f"never true: {expression}; {self.faults}"
            time.sleep(0.05)
        return time.monotonic() - start

    def press(self, key: str) -> None:
        """Press a key, such as "ArrowRight" or "Tab", where the focus is."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, path: Path, whole: bool = False) -> None:
        """What is shown, or the whole page, as a PNG file."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))
