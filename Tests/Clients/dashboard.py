#!/usr/bin/env python3
"""Opens the dashboard of a running trainyardd in headless Chromium, checks what it shows, and takes screenshots.

    dashboard.py [--url http://127.0.0.1:9180/] [--out DIR] [--wait 5]

Three pages: desktop, dark, phone width. Fails when the page logs an error, shows no live figures, or is wider than the phone.
Needs `chromium` (Debian's package); talks to it over its debugging pipe, so nothing else is needed.
"""
import argparse
import base64
import json
import os
import subprocess
import sys
import time


class Browser:
    def __init__(self):
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()

        def descriptors():
            # Chromium reads commands from descriptor 3 and writes answers to 4.
            read, write = os.dup(to_read), os.dup(from_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"],
            preexec_fn=descriptors, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.write_descriptor, self.reader = to_write, os.fdopen(from_read, "rb", buffering=0)
        self.pending, self.number, self.events = b"", 0, []

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.write_descriptor, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def receive(self):
        while b"\0" not in self.pending:
            part = self.reader.read(1 << 20)
            if not part:
                raise SystemExit("the browser ended")
            self.pending += part
        text, self.pending = self.pending.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def close(self):
        self.process.terminate()
        self.process.wait()


def look(browser, url, name, width, height, dark, wait, out):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.call("Page.enable", session)
    browser.call("Runtime.enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    scheme = "dark" if dark else "light"
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.call("Page.navigate", session, url=url)
    time.sleep(wait)

    def value(expression):
        return browser.call("Runtime.evaluate", session, expression=expression, returnByValue=True)["result"].get("value")

    shot = browser.call("Page.captureScreenshot", session)["data"]
    path = os.path.join(out, f"dashboard-{name}.png")
    with open(path, "wb") as file:
        file.write(base64.b64decode(shot))
    problems = []
    for event in browser.events:
        if event["method"] == "Runtime.exceptionThrown":
            problems.append(event["params"]["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        if event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] == "error":
            problems.append("console error")
    if value("document.getElementById('link').textContent") != "live":
        problems.append("not live: " + str(value("document.getElementById('link').textContent")))
    rows, nodes = value("document.querySelectorAll('#body tr').length"), value("document.querySelectorAll('.nodes button').length")
    drawn = value("[...document.querySelectorAll('path.f')].filter(p => (p.getAttribute('d') || '').length > 10).length")
    if not rows:
        problems.append("no figures")
    if not nodes:
        problems.append("no nodes")
    if value("document.documentElement.scrollWidth") > width:
        problems.append(f"wider than {width} pixels")
    # Without a mouse: Tab reaches a node, and what it says is announced.
    value("document.querySelector('.nodes button').focus()")
    announced = value("document.getElementById('node').textContent")
    if "running" not in (announced or ""):
        problems.append("a focused node is not announced")
    print(f"{name}: {rows} rows, {nodes} nodes, {drawn} charts drawn; focus says: {announced}; {path}")
    browser.call("Target.closeTarget", targetId=target)
    return [f"{name}: {problem}" for problem in problems]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:9180/")
    parser.add_argument("--out", default=".")
    parser.add_argument("--wait", type=float, default=5)
    arguments = parser.parse_args()
    browser = Browser()
    problems = []
    for name, width, height, dark in [("desktop", 1280, 1400, False), ("dark", 1280, 1400, True), ("phone", 390, 2600, False)]:
        problems += look(browser, arguments.url, name, width, height, dark, arguments.wait, arguments.out)
    browser.close()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
