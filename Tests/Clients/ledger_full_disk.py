#!/usr/bin/env python3
"""Fills the ledger's disk under load, looks at how the daemon bears it, makes room again, and checks that no request went missing.

    ledger_full_disk.py --daemon PATH

Needs root, for a small tmpfs. While the disk is full: SQLite's refusals are counted and logged, records wait in the journal, /ready says why, and
once the journal is half full requests are refused with 503 `ledger_behind`. When there is room again everything that waited is stored.
"""
import argparse
import http.client
import json
import os
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
serving, admin = 18431, 18432


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def metric(name):
    return next(float(line.split()[-1]) for line in get(admin, "/metrics")[1].splitlines() if line.startswith(name + " "))


def wait(what, condition, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.1)
    raise SystemExit(f"not in {seconds} s: {what}")


def client(stop, acknowledged, refusals):
    connection = http.client.HTTPConnection("127.0.0.1", serving, timeout=20)
    body = json.dumps({"model": "m", "prompt": "word", "max_tokens": 2})
    while not stop.is_set():
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status == 200:
            acknowledged.append(int(document["id"].split("-")[1], 16))
        else:
            refusals.append((answer.status, document["error"]["code"], answer.getheader("Retry-After")))
            time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()
    # The journal takes 1 MiB of it at once; SQLite fills the rest.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=True)
    process = None
    stop, lists, refusals, threads = threading.Event(), [[] for _ in range(4)], [], []
    try:
        config = folder + "/trainyard.yaml"
        with open(config, "w") as file:
            file.write(f"fleet: {root}/deploy/fleets/trn2.yaml\nbaseline: {root}/deploy/fleets/h200.yaml\nserved_model_name: m\ntime_scale: max\n"
                       f'listen: {{ serving: "127.0.0.1:{serving}", admin: "127.0.0.1:{admin}" }}\n'
                       f"ledger: {{ path: {folder}/ledger.sqlite, queue_rows: 4096 }}\nlog_level: error\n")
        process = subprocess.Popen([arguments.daemon, "--config", config])
        wait("ready", lambda: get(serving, "/ready")[0] == 200)
        threads = [threading.Thread(target=client, args=(stop, part, refusals)) for part in lists]
        for thread in threads:
            thread.start()
        wait("SQLite refuses", lambda: metric("trainyard_ledger_errors_total") > 0)
        # SQLite may find a little room again when it resets its log; in the end the disk stays full.
        answers = []

        def full():
            answers.append(get(serving, "/ready"))
            return refusals and answers[-1][0] == 503

        wait("a request is refused and /ready says why", full)
        status, text = answers[-1]
        print(f"full: {metric('trainyard_ledger_errors_total'):.0f} transactions refused, {metric('trainyard_ledger_waiting_records'):.0f} of "
              f"{metric('trainyard_ledger_capacity_records'):.0f} records wait; first refusal {refusals[0]}")
        print(f"full: /ready {status}: {json.loads(text)['error']['message']}; /health {get(serving, '/health')[0]}")
        assert status == 503 and refusals[0][:2] == (503, "ledger_behind") and refusals[0][2], (status, refusals[0])
        before = sum(map(len, lists))
        subprocess.run(["mount", "-o", "remount,size=256m", folder], check=True)
        wait("ready again", lambda: get(serving, "/ready")[0] == 200)
        wait("requests are answered again", lambda: sum(map(len, lists)) > before + 100)
        print(f"room again: /ready 200, {sum(map(len, lists)) - before} more requests answered")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        if process:
            process.terminate()
            process.wait()
        acknowledged = [number for part in lists for number in part]
        stored = set()
        if os.path.exists(folder + "/ledger.sqlite"):
            database = sqlite3.connect(folder + "/ledger.sqlite")
            stored = {row[0] for row in database.execute("SELECT answer FROM request WHERE status IS NOT NULL")}
            database.close()
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)
    missing = [number for number in acknowledged if (number - (1 << 64) if number >= 1 << 63 else number) not in stored]
    print(f"{len(acknowledged)} acknowledged requests, {len(refusals)} refused, {len(missing)} missing from the ledger")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
