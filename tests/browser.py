# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's chromium without a screen, spoken to over its debugging pipe: no library but Python's own.

    with Browser(shutil.which("chromium"), folder) as browser:
        browser.open("file:///tmp/page.html")
        browser.ask("document.title")               what a script in the page would say
        browser.mouse("mouseMoved", 10, 10)
        browser.media(scheme="dark")                or kind="print"
        browser.pdf()                               bytes
        browser.console, browser.requests           what it said, what it asked for since it was opened
"""

import base64
import json
import os
import subprocess

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-extensions",
         "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "about:blank")


class Browser:
    def __init__(self, program, folder, width=1280, height=900):
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()
        # chromium reads its orders from 3 and answers on 4, for which these two are moved out of the way first
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"', "browser", program, *FLAGS,
             f"--user-data-dir={folder}", f"--window-size={width},{height}"],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.number, self.session, self.buffer = 0, None, b""
        self.console, self.requests, self.loaded = [], [], False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session = None
        self.call("Browser.close")
        os.close(self.write_end)
        self.process.wait(30)
        os.close(self.read_end)

    def _message(self):
        while b"\0" not in self.buffer:
            part = os.read(self.read_end, 1 << 16)
            assert part, "the browser has gone"
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        name, about = message.get("method"), message.get("params", {})
        if name in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.console.append(about)
        elif name == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif name == "Page.loadEventFired":
            self.loaded = True

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def open(self, url):
        self.console, self.requests, self.loaded = [], [], False
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
        self.call("Page.navigate", url=url)
        while not self.loaded:
            self._note(self._message())

    def ask(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def media(self, kind="", scheme="light"):
        self.call("Emulation.setEmulatedMedia", media=kind, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def width(self, width, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def picture(self, height=None):
        clip = {} if not height else {"clip": {"x": 0, "y": 0, "width": self.ask("innerWidth"), "height": height, "scale": 1},
                                      "captureBeyondViewport": True}
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", **clip)["data"])

    def pdf(self):
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])
