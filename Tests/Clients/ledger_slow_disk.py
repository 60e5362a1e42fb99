#!/usr/bin/env python3
"""Puts the ledger's database on a disk that takes --delay seconds for each write, and checks that streams do not feel it.

    ledger_slow_disk.py --daemon PATH [--delay 0.05] [--seconds 20]

Needs root and `pip install fusepy` (with Debian's libfuse2): the disk is ext4 on a loop device on a file whose writes a FUSE server delays, so that
the file system's own journal is slow as well. Rows may wait, and requests may be refused once too many do; a chunk may not leave late.
"""
import argparse
import csv
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
serving, admin = 18441, 18442


def serve_disk(image, mount_point, delay_file):
    """The FUSE server: one file, `disk`, with the image's bytes."""
    import errno
    import stat
    from fuse import FUSE, FuseOSError, Operations

    class SlowDisk(Operations):
        def __init__(self):
            self.descriptor = os.open(image, os.O_RDWR)

        def wait(self):
            with open(delay_file) as file:
                time.sleep(float(file.read() or 0))

        def getattr(self, path, handle=None):
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
            if path != "/disk":
                raise FuseOSError(errno.ENOENT)
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": os.fstat(self.descriptor).st_size}

        def readdir(self, path, handle):
            return [".", "..", "disk"]

        def read(self, path, size, offset, handle):
            return os.pread(self.descriptor, size, offset)

        def write(self, path, data, offset, handle):
            self.wait()
            return os.pwrite(self.descriptor, data, offset)

        def fsync(self, path, dataOnly, handle):
            self.wait()
            return 0

    FUSE(SlowDisk(), mount_point, foreground=True, nothreads=True)


def figure(page, name):
    return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name + " "))


def page():
    return urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10).read().decode()


def lag_milliseconds(text, share):
    buckets = {}
    for bound, count in re.findall(r'^trainyard_emission_lag_seconds_bucket\{.*?le="([^"]+)"\} (\d+)', text, re.M):
        bound = float(bound.replace("+Inf", "inf"))
        buckets[bound] = buckets.get(bound, 0) + int(count)
    total = max(buckets.values())
    return next(bound for bound in sorted(buckets) if buckets[bound] >= share * total) * 1e3


def load(work, seconds):
    """Streams at 100 requests a second; the daemon may refuse some when too many rows wait, which sse_bench counts as "not 200"."""
    result = subprocess.run([f"{work}/sse_bench", "--port", str(serving), "--model", "m", "--connections", "2000", "--rate", "100",
                             "--seconds", str(seconds), "--tokens", "20", "--csv", f"{work}/seen.csv"], capture_output=True, text=True)
    print("  " + (result.stdout or result.stderr).strip())
    return [row for row in csv.DictReader(open(f"{work}/seen.csv"))]


def measure(arguments, work, folder, delay_file):
    config = f"{work}/trainyard.yaml"
    with open(config, "w") as file:
        for name in ("trn2", "h200"):
            text = open(f"{root}/deploy/fleets/{name}.yaml").read()
            with open(f"{work}/{name}.yaml", "w") as fleet:
                fleet.write(re.sub(r"(?m)^(\s+instances:) \d+", r"\1 40", text))
        file.write("fleet: trn2.yaml\nbaseline: h200.yaml\nserved_model_name: m\nlog_level: warning\n"
                   f'listen: {{ serving: "127.0.0.1:{serving}", admin: "127.0.0.1:{admin}" }}\nledger: {{ path: {folder}/ledger.sqlite }}\n')
    process = subprocess.Popen([arguments.daemon, "--config", config])
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{serving}/ready", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        most, stop = [0.0], threading.Event()

        def watch():
            while not stop.wait(0.25):
                most[0] = max(most[0], figure(page(), "trainyard_ledger_waiting_records"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        with open(delay_file, "w") as file:
            file.write(str(arguments.delay))
        seen = load(work, arguments.seconds)
        stop.set()
        watcher.join()
        text = page()
        late = [lag_milliseconds(text, share) for share in (0.5, 0.99, 0.999)]
        with open(delay_file, "w") as file:
            file.write("0")
        for _ in range(600):
            if figure(page(), "trainyard_ledger_waiting_records") == 0:
                break
            time.sleep(0.1)
        waiting = figure(page(), "trainyard_ledger_waiting_records")
        print(f"{arguments.delay * 1e3:.0f} ms a write: at most {most[0]:.0f} records waited, {waiting:.0f} once the disk was fast again; "
              f"emission lag at most {late[0]:g} ms at p50, {late[1]:g} at p99, {late[2]:g} at p99.9")
    finally:
        process.terminate()
        process.wait()
    database = sqlite3.connect(f"{folder}/ledger.sqlite")
    stored = {row[0] for row in database.execute("SELECT answer FROM request WHERE status IS NOT NULL")}
    database.close()
    numbers = [int(row["id"], 16) for row in seen]
    missing = sum((number - (1 << 64) if number >= 1 << 63 else number) not in stored for number in numbers)
    print(f"{len(numbers)} streams ended whole, {missing} missing from the ledger")
    assert missing == 0 and waiting == 0 and most[0] > 0
    assert late[1] <= 10, "streams felt the disk"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return serve_disk(*arguments.serve)
    with tempfile.TemporaryDirectory() as work:
        delay_file, image = f"{work}/delay", f"{work}/image"
        for name in ("fuse", "disk"):
            os.mkdir(f"{work}/{name}")
        with open(delay_file, "w") as file:
            file.write("0")
        subprocess.run(["cc", "-O2", "-o", f"{work}/sse_bench", f"{root}/Tests/Clients/sse_bench.c"], check=True)
        subprocess.run(["truncate", "-s", "200M", image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        server = subprocess.Popen([sys.executable, __file__, "--daemon", "-", "--serve", image, f"{work}/fuse", delay_file])
        loop = None
        try:
            for _ in range(100):
                if os.path.exists(f"{work}/fuse/disk"):
                    break
                time.sleep(0.1)
            loop = subprocess.run(["losetup", "--find", "--show", f"{work}/fuse/disk"], check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(["mount", loop, f"{work}/disk"], check=True)
            measure(arguments, work, f"{work}/disk", delay_file)
        finally:
            with open(delay_file, "w") as file:
                file.write("0")
            subprocess.run(["umount", f"{work}/disk"])
            if loop:
                subprocess.run(["losetup", "--detach", loop])
            subprocess.run(["umount", f"{work}/fuse"])
            server.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
