#!/usr/bin/env bash
# inference-perf against a running trainyardd: streamed completions at a constant rate; none may fail, and lengths must agree.
#
#   Tests/Clients/inference_perf.sh TOKENIZER_DIR [URL]     default http://127.0.0.1:8000; needs `pip install inference-perf` (Python 3.12)
#
# TOKENIZER_DIR holds a Hugging Face tokenizer. INFERENCE_PERF names the program, default inference-perf.
set -euo pipefail
tokenizer=${1:?usage: inference_perf.sh TOKENIZER_DIR [URL]}
url=${2:-http://127.0.0.1:8000}
model=$(curl -fsS "$url/v1/models" | sed -n 's/.*"id":"\([^"]*\)".*/\1/p')
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

cat > "$results/config.yaml" <<END
load: { type: constant, stages: [{ rate: 5, duration: 10 }], num_workers: 1 }
api: { type: completion, streaming: true }
server: { type: vllm, model_name: $model, base_url: "$url", ignore_eos: true }
tokenizer: { pretrained_model_name_or_path: $tokenizer }
data:
  type: random
  input_distribution: { min: 64, max: 64, mean: 64, std_dev: 0, total_count: 50 }
  output_distribution: { min: 32, max: 32, mean: 32, std_dev: 0, total_count: 50 }
report: { request_lifecycle: { summary: true } }
storage: { local_storage: { path: $results/reports } }
END
HF_HUB_OFFLINE=1 "${INFERENCE_PERF:-inference-perf}" --config_file "$results/config.yaml" > "$results/log" 2>&1 || { tail -40 "$results/log" >&2; exit 1; }

python3 - "$results/reports" <<'END'
import glob, json, sys
name = glob.glob(sys.argv[1] + "/**/summary_lifecycle_metrics.json", recursive=True)[0]
figures = json.load(open(name))
good, bad = figures["successes"], figures["failures"]
for field in ("time_to_first_token", "inter_token_latency", "normalized_time_per_output_token", "request_latency"):
    value = good["latency"].get(field)
    if value:
        print(f"{field}: mean {value['mean']:.4f} s, p99 {value['p99']:.4f} s")
print(f"requests: {good['count']}, failures: {bad['count']}, output tokens: {good['output_len']['mean']:.1f}")
assert bad["count"] == 0 and good["count"] == 50, "requests failed"
assert abs(good["output_len"]["mean"] - 32) < 0.5, "replies have another length than asked for"
END
