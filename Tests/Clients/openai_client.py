#!/usr/bin/env python3
"""The `openai` package against a running trainyardd.

Lists models, gets a whole and a streamed chat completion with usage, and compares the TTFT and TPOT that the client sees with
what the model says (the report's mean over the requests that this script sent). Needs a daemon with time_scale 1 that nobody
else uses, and `pip install openai`.

    openai_client.py [--base http://127.0.0.1:8000/v1] [--admin http://127.0.0.1:9180] [--requests 12] [--key KEY]

Exit status 0 when the client's times agree within 5 ms (TTFT) and 5 % (TPOT), else 1.
"""
import argparse
import json
import statistics
import sys
import time
import urllib.request

from openai import BadRequestError, NotFoundError, OpenAI


def report(admin):
    with urllib.request.urlopen(admin + "/v1/report") as answer:
        document = json.load(answer)
    return document["fleet"] if isinstance(document["fleet"], dict) else document


def measured_stream(client, model, words, tokens):
    messages = [{"role": "user", "content": " ".join(["word"] * words) + f" {time.time_ns()}"}]
    started = time.perf_counter()
    times, text, usage = [], "", None
    stream = client.chat.completions.create(
        model=model, messages=messages, max_tokens=tokens, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        if chunk.usage:
            usage = chunk.usage
        if chunk.choices and chunk.choices[0].delta.content:
            times.append(time.perf_counter())
            text += chunk.choices[0].delta.content
    assert usage is not None and usage.completion_tokens == tokens == len(times), (usage, len(times))
    assert len(text.split()) == tokens, text
    return times[0] - started, (times[-1] - times[0]) / (tokens - 1)


def responses(client, model):
    """The Responses API: a whole response, the events of one, and a call of a function."""
    whole = client.responses.create(model=model, input="Say something.", max_output_tokens=9)
    assert len(whole.output_text.split()) == 9 and whole.usage.output_tokens == 9, whole
    assert whole.status == "incomplete" and whole.incomplete_details.reason == "max_output_tokens", whole
    text, types = "", []
    for event in client.responses.create(model=model, input="Say something.", max_output_tokens=9, stream=True):
        types.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
    assert text == whole.output_text and types[0] == "response.created" and types[-1] == "response.incomplete", types
    tools = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    with client.responses.stream(model=model, input="Weather?", max_output_tokens=9, tools=tools, tool_choice="required") as stream:
        for _ in stream:
            pass
        call = stream.get_final_response().output[0]
    assert call.type == "function_call" and call.name == "weather" and json.loads(call.arguments), call
    print("responses:", len(types), "events,", repr(text), "and a call of", call.name)


def embeddings(client, model):
    answer = client.embeddings.create(model=model, input=["one two", "three", "one two"], dimensions=256)
    vectors = [item.embedding for item in answer.data]
    assert [len(v) for v in vectors] == [256] * 3 and vectors[0] == vectors[2] != vectors[1]
    assert abs(sum(x * x for x in vectors[0]) - 1) < 1e-4 and answer.usage.prompt_tokens >= 5
    print("embeddings: 3 of", len(vectors[0]), "numbers,", answer.usage.prompt_tokens, "tokens")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--admin", default="http://127.0.0.1:9180")
    parser.add_argument("--key", default="none")
    parser.add_argument("--requests", type=int, default=12)
    arguments = parser.parse_args()
    client = OpenAI(base_url=arguments.base, api_key=arguments.key, max_retries=0)

    models = [model.id for model in client.models.list()]
    print("models:", ", ".join(models))
    model = models[0]

    whole = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say something."}], max_tokens=16)
    print("whole:", repr(whole.choices[0].message.content), whole.usage.model_dump(exclude_none=True))
    assert whole.usage.completion_tokens == 16 and whole.choices[0].finish_reason == "length"

    for wrong, error in [({"max_tokens": -1}, BadRequestError), ({"model": "no-such-model"}, NotFoundError)]:
        try:
            client.chat.completions.create(**({"model": model, "messages": [{"role": "user", "content": "a"}]} | wrong))
            raise SystemExit(f"accepted {wrong}")
        except error as problem:
            print("refused:", problem.status_code, problem.body["message"])

    responses(client, model)
    embeddings(client, model)

    # One request's mean is exact in the report's terms: the report counts the same requests.
    measured_stream(client, model, 50, 2)
    before = report(arguments.admin)
    seen = [measured_stream(client, model, 300, 64) for _ in range(arguments.requests)]
    after = report(arguments.admin)

    def mean_of_new(field):
        counts = [r["requests"]["completed"] for r in (before, after)]
        if field == "tpotSeconds":  # requests of one token have none; this script sends none such
            pass
        total = after[field]["mean"] * counts[1] - before[field]["mean"] * counts[0]
        return total / (counts[1] - counts[0])

    ttft = statistics.mean(s[0] for s in seen)
    tpot = statistics.mean(s[1] for s in seen)
    model_ttft, model_tpot = mean_of_new("ttftSeconds"), mean_of_new("tpotSeconds")
    print(f"TTFT: client {ttft * 1e3:.3f} ms, model {model_ttft * 1e3:.3f} ms, difference {(ttft - model_ttft) * 1e3:+.3f} ms")
    print(f"TPOT: client {tpot * 1e3:.3f} ms, model {model_tpot * 1e3:.3f} ms, ratio {tpot / model_tpot:.4f}")
    agrees = abs(ttft - model_ttft) < 0.005 and abs(tpot / model_tpot - 1) < 0.05
    print("agreement within 5 ms and 5 %:", "yes" if agrees else "NO")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
