#!/usr/bin/env python3
"""Kills trainyardd with SIGKILL under load, again and again, and checks that no acknowledged request is missing from the ledger.

    ledger_kill.py --daemon .build/release/trainyardd --config FILE [--kills 200] [--threads 8]

The configuration must name a ledger and listen on --port; a fleet with `time_scale: max` gives the most requests per second.
A request counts as acknowledged once the client has read the whole of its answer. Its id is the ledger's `answer` column in
hexadecimal. Exit status 0 when none is missing.
"""
import argparse
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time


def wait_until_ready(port, process):
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the daemon ended with status {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the daemon did not become ready in 30 s")


def client(port, stop, acknowledged, number):
    random_source = random.Random(number)
    connection = None
    while not stop.is_set():
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            stream = random_source.random() < 0.5
            body = {"model": MODEL, "prompt": "word " * random_source.randint(1, 50), "max_tokens": random_source.randint(1, 40),
                    "stream": stream}
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                continue
            if stream:
                if not text.endswith(b"data: [DONE]\n\n"):
                    continue
                identity = json.loads(text.split(b"\n\n", 1)[0][len(b"data: "):])["id"]
            else:
                identity = json.loads(text)["id"]
            acknowledged.append(int(identity.split("-")[1], 16))
        except (OSError, http.client.HTTPException, ValueError):
            connection = None
            if stop.wait(0.01):
                return


def signed(number):
    return number - (1 << 64) if number >= 1 << 63 else number


def main():
    global MODEL
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    dice = random.Random(arguments.seed)
    everything, missing = 0, 0
    for kill in range(arguments.kills):
        process = subprocess.Popen([arguments.daemon, "--config", arguments.config], stderr=subprocess.DEVNULL)
        wait_until_ready(arguments.port, process)
        if kill == 0:
            connection = http.client.HTTPConnection("127.0.0.1", arguments.port)
            connection.request("GET", "/v1/models")
            MODEL = json.load(connection.getresponse())["data"][0]["id"]
        stop, lists = threading.Event(), [[] for _ in range(arguments.threads)]
        threads = [threading.Thread(target=client, args=(arguments.port, stop, lists[n], kill * 1000 + n))
                   for n in range(arguments.threads)]
        for thread in threads:
            thread.start()
        time.sleep(dice.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        stop.set()
        for thread in threads:
            thread.join()
        acknowledged = [identity for part in lists for identity in part]
        # The next start stores what the journals hold; here a start and a clean stop do.
        process = subprocess.Popen([arguments.daemon, "--config", arguments.config], stderr=subprocess.DEVNULL)
        wait_until_ready(arguments.port, process)
        process.terminate()
        process.wait()
        database = sqlite3.connect(arguments.ledger)
        stored = {row[0] for row in database.execute("SELECT answer FROM request WHERE status IS NOT NULL")}
        database.close()
        lost = [identity for identity in acknowledged if signed(identity) not in stored]
        everything += len(acknowledged)
        missing += len(lost)
        if lost:
            print(f"kill {kill + 1}: {len(lost)} of {len(acknowledged)} missing, such as {lost[0]:016x}", flush=True)
        if (kill + 1) % 10 == 0:
            print(f"{kill + 1} kills, {everything} acknowledged requests, {missing} missing", flush=True)
    print(f"{arguments.kills} kills, {everything} acknowledged requests, {missing} missing from the ledger")
    return 1 if missing or not everything else 0


if __name__ == "__main__":
    sys.exit(main())
