#!/usr/bin/env bash
# AIPerf against a running trainyardd: profiles streamed chats and checks that no request failed and that lengths agree.
#
#   Tests/Clients/aiperf.sh TOKENIZER_DIR [URL]     default http://127.0.0.1:8000; needs `pip install aiperf`
#
# TOKENIZER_DIR holds a Hugging Face tokenizer (tokenizer.json, tokenizer_config.json). AIPERF names the program, default aiperf.
set -euo pipefail
tokenizer=${1:?usage: aiperf.sh TOKENIZER_DIR [URL]}
url=${2:-http://127.0.0.1:8000}
model=$(curl -fsS "$url/v1/models" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

"${AIPERF:-aiperf}" profile -m "$model" -u "$url" --endpoint-type chat --streaming --tokenizer "$tokenizer" \
    --use-server-token-count --isl 64 --osl 32 --request-rate 10 --arrival-pattern poisson --request-count 60 --ui none \
    --artifact-dir "$results" > "$results/log" 2>&1 || { tail -40 "$results/log" >&2; exit 1; }

python3 - "$results" <<'END'
import glob, json, sys
name = glob.glob(sys.argv[1] + "/**/profile_export_aiperf.json", recursive=True)[0]
figures = json.load(open(name))
for field in ("time_to_first_token", "inter_token_latency", "request_latency", "output_sequence_length"):
    value = figures[field]
    print(f"{field}: mean {value['avg']:.3f} {value['unit']}, p99 {value['p99']:.3f}")
count = figures["request_count"]["avg"]
errors = figures.get("error_request_count", {}).get("avg", 0)
print(f"requests: {count:.0f}, errors: {errors:.0f}")
assert count == 60 and errors == 0, "requests failed"
assert abs(figures["output_sequence_length"]["avg"] - 32) < 0.5, "replies have another length than asked for"
END
