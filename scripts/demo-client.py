"""Talks to trainyardd with the `openai` client and checks what it sees against the simulator.

usage: demo-client.py URL TRAINYARD FLEET

Lists the models, gets one chat completion whole and several streamed ones with usage, then asks the simulator for the
same requests on the same fleet. Each is sent a few times and the fastest counts, because other work on the machine only
adds time; on a machine that is busy just then it is sent more often. Exits with 1 when a TTFT is more than 5 ms from the simulated one, or a TPOT more than 5 %.
"""

import json
import subprocess
import sys
import tempfile
import time

import openai

TTFT_TOLERANCE_SECONDS = 0.005
TPOT_TOLERANCE = 0.05
OUTPUT_TOKENS = 96
TRIES = 3
MOST_TRIES = 12


def streamed(client, model, prompt):
    """One streamed completion: (TTFT, TPOT, prompt tokens, output tokens), as the client's clock saw it."""
    start = time.perf_counter()
    first = last = None
    usage = None
    stream = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        max_tokens=OUTPUT_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    for chunk in stream:
        now = time.perf_counter()
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or now
            last = now
        if chunk.usage:
            usage = chunk.usage
    ttft = first - start
    tpot = (last - first) / (usage.completion_tokens - 1)
    return ttft, tpot, usage.prompt_tokens, usage.completion_tokens


def simulated(trainyard, fleet, prompt_tokens, output_tokens):
    """(TTFT, TPOT) of a single request on an idle fleet, from the simulator."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as trace:
        trace.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        trace.write(f"2026-01-01 00:00:00.0000000,{prompt_tokens},{output_tokens}\n")
        trace.flush()
        result = subprocess.run(
            [trainyard, "simulate", "--fleet", fleet, "--workload", f"azure:{trace.name}", "--json", "-", "--quiet"],
            check=True,
            capture_output=True,
            text=True,
        )
    report = json.loads(result.stdout)
    return report["ttftSeconds"]["mean"], report["tpotSeconds"]["mean"]


def main():
    url, trainyard, fleet = sys.argv[1:4]
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)

    models = [model.id for model in client.models.list()]
    print("models:", ", ".join(models))
    model = models[0]

    reply = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Which track is free?"}], max_tokens=12
    )
    print(f"whole reply: {reply.choices[0].message.content!r}")
    print(f"usage: {reply.usage.prompt_tokens} prompt tokens, {reply.usage.completion_tokens} output tokens")

    # The first request of a connection also opens it; what is measured is the fleet, so one goes ahead unmeasured.
    streamed(client, model, "warm the connection")

    failures = 0
    for number, words in enumerate((8, 200, 900)):
        # A first word of its own for each, so that no prefix cache shortens the prefill.
        cars = " ".join(f"car{number}x{word}" for word in range(words))
        ttft, tpot, prompt_tokens, output_tokens = min(
            streamed(client, model, f"Train {number}.{attempt:02}: {cars}") for attempt in range(TRIES)
        )
        model_ttft, model_tpot = simulated(trainyard, fleet, prompt_tokens, output_tokens)

        def is_close():
            return abs(ttft - model_ttft) <= TTFT_TOLERANCE_SECONDS and abs(tpot - model_tpot) <= TPOT_TOLERANCE * model_tpot

        for attempt in range(TRIES, MOST_TRIES):
            if is_close():
                break
            again = streamed(client, model, f"Train {number}.{attempt:02}: {cars}")
            assert again[2:] == (prompt_tokens, output_tokens), "prompts that differ in a number are equally long"
            ttft, tpot = min((ttft, tpot), again[:2])
        close = is_close()
        failures += not close
        print(
            f"streamed {prompt_tokens:>5} prompt + {output_tokens} output tokens: "
            f"TTFT {1000 * ttft:7.2f} ms (simulated {1000 * model_ttft:7.2f}), "
            f"TPOT {1000 * tpot:6.3f} ms (simulated {1000 * model_tpot:6.3f}) {'ok' if close else 'TOO FAR'}"
        )
    sys.exit(1 if failures else 0)


main()
