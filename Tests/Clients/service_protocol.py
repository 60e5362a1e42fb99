#!/usr/bin/env python3
"""Plays the service manager for trainyardd: readiness, watchdog, reload, stop, and an inherited socket that outlives a restart.

    service_protocol.py --daemon .build/release/trainyardd --config FILE

FILE must not need the ports that anybody else uses; its serving address is replaced by the inherited socket.
"""
import argparse
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time


def start(daemon, config, notify, listener):
    environment = dict(os.environ, NOTIFY_SOCKET=notify, WATCHDOG_USEC="1000000", LISTEN_FDS="1", LISTEN_FDNAMES="serving")

    def inherit():
        os.dup2(listener.fileno(), 3, inheritable=True)
        os.environ["LISTEN_PID"] = str(os.getpid())

    # The shell's exec keeps the process id that LISTEN_PID names.
    command = ["sh", "-c", 'LISTEN_PID=$$ exec "$0" --config "$1"', daemon, config]
    return subprocess.Popen(command, env=environment, preexec_fn=inherit, close_fds=False, stderr=subprocess.DEVNULL)


def expect(receiver, text, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        message = receiver.recv(4096).decode()
        if text in message:
            return message.replace("\n", " | ")
    raise SystemExit(f"no {text} in {seconds} s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp()
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(folder + "/notify")
    receiver.settimeout(30)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    port = listener.getsockname()[1]

    process = start(arguments.daemon, arguments.config, folder + "/notify", listener)
    print("ready:", expect(receiver, "READY=1"))
    for _ in range(3):
        expect(receiver, "WATCHDOG=1", 3)
    print("watchdog: fed three times")
    process.send_signal(signal.SIGHUP)
    print("reload:", expect(receiver, "RELOADING=1"))
    expect(receiver, "READY=1")

    # Clients that come at any time during restarts: each gets an answer, none is refused.
    answers, failures, stop = [0], [], threading.Event()

    def client():
        while not stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
                answers[0] += 1
            except Exception as problem:  # whatever went wrong, a client saw it
                failures.append(repr(problem))
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        expect(receiver, "STOPPING=1")
        assert process.wait() == 0
        process = start(arguments.daemon, arguments.config, folder + "/notify", listener)
        expect(receiver, "READY=1")
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    process.send_signal(signal.SIGTERM)
    process.wait()
    print(f"5 restarts under load: {answers[0]} connections answered, {len(failures)} lost", failures[:2])
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
