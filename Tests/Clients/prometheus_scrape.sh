#!/usr/bin/env bash
# Prometheus (Debian's package) scrapes a running trainyardd with the configuration of deploy/prometheus, and promtool lints its family.
#
#   Tests/Clients/prometheus_scrape.sh [ADMIN_URL [SERVING_URL]]     default http://127.0.0.1:9180 and http://127.0.0.1:8000
set -euo pipefail
cd "$(dirname "$0")/../.."
admin=${1:-http://127.0.0.1:9180}
serving=${2:-http://127.0.0.1:8000}

curl -fsS "$admin/metrics" | promtool check metrics
echo "promtool check metrics: clean"

data=$(mktemp -d)
sed -e "s|127.0.0.1:9180|${admin#http://}|" -e "s|127.0.0.1:8000|${serving#http://}|" deploy/prometheus/prometheus.yml > "$data/prometheus.yml"
cp deploy/prometheus/trainyard.rules.yml "$data/"
promtool check config "$data/prometheus.yml" > /dev/null
echo "promtool check config: clean, rules too"
prometheus --config.file="$data/prometheus.yml" --storage.tsdb.path="$data" \
    --web.listen-address=127.0.0.1:19090 --log.level=warn &
prometheus=$!
trap 'kill $prometheus; wait $prometheus 2>/dev/null || true; rm -rf "$data"' EXIT
query() { curl -fsS 'http://127.0.0.1:19090/api/v1/query' --data-urlencode "query=$1"; }

for _ in $(seq 40); do
    sleep 0.5
    up=$(query 'sum(up)' 2>/dev/null | sed -n 's/.*"value":\[[^,]*,"\([0-9]*\)".*/\1/p' || true)
    [ "$up" = 2 ] && break
done
[ "$up" = 2 ] || { echo "Prometheus does not reach both listeners: sum(up) = ${up:-nothing}" >&2; exit 1; }
echo "both targets are up"
for name in trainyard_build_info trainyard_energy_joules_total trainyard_power_watts trainyard_ring_depth vllm:num_requests_running \
    vllm:request_params_n_bucket; do
    query "count($name)" | grep -q '"value"' || { echo "Prometheus has no $name" >&2; exit 1; }
    echo "scraped: $name"
done
query 'count(ALERTS)' > /dev/null
curl -fsS 'http://127.0.0.1:19090/api/v1/rules' | python3 -c '
import json, sys
rules = [rule for group in json.load(sys.stdin)["data"]["groups"] for rule in group["rules"]]
broken = [rule["name"] for rule in rules if rule["health"] == "err"]
print(f"rules that Prometheus evaluates: {len(rules)}, with errors: {len(broken)}", *broken)
sys.exit(bool(broken))'
