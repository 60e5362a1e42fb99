#!/usr/bin/env python3
"""The SGLang router in front of the fleet view: each replica's port is a worker, and what the router sends somewhere, that port counts.

    sglang_router.py --first-port 8100 --replicas 8 [--router smg] [--port 18200] [--requests 80]

Needs `pip install sglang-router` and a daemon with fleet_view. With round robin each replica gets its share; then the router streams.
"""
import argparse
import http.client
import json
import subprocess
import tempfile
import time


def answer(port, method, path, body=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def finished(port):
    page = answer(port, "GET", "/metrics")[1]
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:request_success_total{"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--first-port", type=int, default=8100)
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--router", default="smg")
    parser.add_argument("--port", type=int, default=18200)
    parser.add_argument("--requests", type=int, default=80)
    arguments = parser.parse_args()
    ports = range(arguments.first_port, arguments.first_port + arguments.replicas)
    model = json.loads(answer(ports[0], "GET", "/v1/models")[1])["data"][0]["id"]
    before = [finished(port) for port in ports]
    with tempfile.TemporaryFile() as log:
        router = subprocess.Popen(
            [arguments.router, "launch", "--host", "127.0.0.1", "--port", str(arguments.port), "--policy", "round_robin",
             "--prometheus-port", str(arguments.port + 1), "--worker-urls"] + [f"http://127.0.0.1:{port}" for port in ports],
            stdout=log, stderr=log)
        try:
            healthy = 0
            for _ in range(120):
                time.sleep(0.5)
                try:
                    healthy = sum(worker["is_healthy"] for worker in json.loads(answer(arguments.port, "GET", "/workers")[1])["workers"])
                except (OSError, ValueError, KeyError):
                    continue
                if healthy == len(ports):
                    break
            print(f"workers that the router calls healthy: {healthy} of {len(ports)}")
            assert healthy == len(ports)
            chat = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
            for _ in range(arguments.requests):
                status, text = answer(arguments.port, "POST", "/v1/chat/completions", chat)
                assert status == 200 and json.loads(text)["usage"]["completion_tokens"] == 4, (status, text)
            status, text = answer(arguments.port, "POST", "/v1/chat/completions", chat | {"stream": True})
            assert status == 200 and text.rstrip().endswith("data: [DONE]"), (status, text[-200:])
        except Exception:
            log.seek(0)
            print(log.read().decode(errors="replace")[-3000:])
            raise
        finally:
            router.terminate()
            router.wait()
    shares = [int(finished(port) - start) for port, start in zip(ports, before)]
    print(f"{arguments.requests} requests and 1 stream through the router; by replica: {shares}")
    assert sum(shares) == arguments.requests + 1, "a request did not reach the fleet"
    assert max(shares) - min(shares) <= 2, "round robin is not round"
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
