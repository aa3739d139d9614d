#!/usr/bin/env bash
# Talks to a cluster of the built binary from Python: once knowing no proto file (reflection), once through
# code generated from the public ones (examples/python). Everything is made in a temporary folder and removed.
#
# usage: tests/python/run.sh [path of the atoll binary]
# Needs python3 with venv and a package index that pip can reach.
set -euo pipefail
cd "$(dirname "$0")/../.."
atoll=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/debug/atoll}")
[ -x "$atoll" ] || { echo "there is no $atoll: run 'cargo build' first, or name the binary" >&2; exit 2; }

folder=$(mktemp -d)
dev=
clean() {
    status=$?
    if [ -n "$dev" ]; then
        kill -INT "$dev" 2>/dev/null || true
        wait "$dev" 2>/dev/null || true
    fi
    [ "$status" -eq 0 ] || cat "$folder"/*.log >&2 || true
    rm -rf "$folder"
    exit "$status"
}
trap clean EXIT

python3 -m venv "$folder/venv"
python=$folder/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check -r examples/python/requirements.txt -r tests/python/requirements.txt

# Ports that are free now, in a row, below the range the system gives to others.
base=$("$python" tests/python/free_ports.py 3)
"$atoll" dev --ephemeral --base-port "$base" --groups 8 >"$folder/dev.log" 2>&1 &
dev=$!
endpoints=127.0.0.1:$base,127.0.0.1:$((base + 1)),127.0.0.1:$((base + 2))

"$python" tests/python/knows_no_proto.py "$endpoints"

mkdir "$folder/generated"
"$python" -m grpc_tools.protoc -I proto --python_out="$folder/generated" --grpc_python_out="$folder/generated" \
    atoll/v1/kv.proto atoll/v1/admin.proto
PYTHONPATH=$folder/generated "$python" examples/python/tour.py "$endpoints"
echo "python: all well"
