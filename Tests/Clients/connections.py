#!/usr/bin/env python3
"""Clients that connect anew for every request, for as long as a file exists: counts who was answered and who was not.

    connections.py --while FILE [--port 8000] [--threads 4] [--tokens 4] [--key KEY]

Prints "ANSWERED answered, LOST lost" and the first problems. A request is lost when its connection was refused or reset, or when
its answer is not a whole one. Exit status 0 when none was.
"""
import argparse
import http.client
import json
import os
import threading
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--while", dest="token", required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=4)
    parser.add_argument("--key")
    arguments = parser.parse_args()
    headers = {"Content-Type": "application/json"}
    if arguments.key:
        headers["Authorization"] = "Bearer " + arguments.key
    connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=60)
    connection.request("GET", "/v1/models", headers=headers)
    model = json.load(connection.getresponse())["data"][0]["id"]
    connection.close()
    answered, problems = [0] * arguments.threads, []

    def client(number):
        stream = number % 2 == 0
        body = json.dumps({"model": model, "prompt": "word", "max_tokens": arguments.tokens, "stream": stream})
        while os.path.exists(arguments.token):
            connection = http.client.HTTPConnection("127.0.0.1", arguments.port, timeout=60)
            try:
                connection.request("POST", "/v1/completions", body, headers)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status == 200, f"status {answer.status}: {text[:200]}"
                assert text.endswith(b"data: [DONE]\n\n") if stream else json.loads(text)["choices"], text[-200:]
                answered[number] += 1
            except Exception as problem:  # whatever it was, a client saw it
                problems.append(f"{time.time():.3f} {problem!r}")
                time.sleep(0.05)
            connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(arguments.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(answered)} answered, {len(problems)} lost")
    for problem in problems[:5]:
        print("  " + problem)
    return 1 if problems or not sum(answered) else 0


if __name__ == "__main__":
    raise SystemExit(main())
