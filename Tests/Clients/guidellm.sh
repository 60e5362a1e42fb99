#!/usr/bin/env bash
# GuideLLM against a running trainyardd: streamed chats at a constant rate; none may fail, and lengths must agree.
#
#   Tests/Clients/guidellm.sh TOKENIZER_DIR [URL]     default http://127.0.0.1:8000; needs `pip install guidellm`
#
# TOKENIZER_DIR holds a Hugging Face tokenizer. GUIDELLM names the program, default guidellm.
set -euo pipefail
tokenizer=${1:?usage: guidellm.sh TOKENIZER_DIR [URL]}
url=${2:-http://127.0.0.1:8000}
model=$(curl -fsS "$url/v1/models" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

HF_HUB_OFFLINE=1 "${GUIDELLM:-guidellm}" run --backend "kind=openai_http,target=$url,model=$model" \
    --profile kind=constant,rate=5 --constraint kind=max_requests,count=30 \
    --data kind=synthetic_text,prompt_tokens=64,output_tokens=32 --tokenizer "kind=huggingface_auto,model=$tokenizer" \
    --disable-console-interactive --output "kind=json,path=$results/report.json" > "$results/log" 2>&1 \
    || { tail -40 "$results/log" >&2; exit 1; }

python3 - "$results/report.json" <<'END'
import json, sys
metrics = json.load(open(sys.argv[1]))["benchmarks"][0]["metrics"]
for field in ("time_to_first_token_ms", "inter_token_latency_ms", "time_per_output_token_ms"):
    value = metrics[field]["successful"]
    print(f"{field}: mean {value['mean']:.3f}, p99 {value['percentiles']['p99']:.3f}")
totals, tokens = metrics["request_totals"], metrics["output_token_count"]["successful"]
print(f"requests: {totals['successful']}, errors: {totals['errored']}, output tokens: {tokens['mean']:.1f}")
# Asked for 30, GuideLLM now and then ends after 29: what it counts must all have succeeded.
assert totals["successful"] == totals["total"] >= 25, totals
assert tokens["min"] == tokens["max"] == 32, "replies have another length than asked for"
END
