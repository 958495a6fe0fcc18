#!/bin/sh
# Brings envoy/docker-compose.yaml up, makes one call that is allowed and one that is not, takes it down. Skipped with one line
# where no Docker engine answers.
set -eu
cd "$(dirname "$0")/.."
if ! docker info >/dev/null 2>&1; then
  echo "compose-test: skipped, no Docker engine answers here"
  exit 0
fi
if docker compose version >/dev/null 2>&1; then compose="docker compose"; elif command -v docker-compose >/dev/null; then compose="docker-compose"; else
  echo "compose-test: skipped, docker compose is not installed"
  exit 0
fi
compose="$compose -f envoy/docker-compose.yaml -p rerank-guard-test"
end() { $compose down --timeout 5 --volumes >/dev/null 2>&1 || true; }
trap end EXIT INT TERM
# An image that is there is used as it is: `docker build -t rerank-guard-demo -f demo/Dockerfile .` makes it.
docker image inspect rerank-guard-demo >/dev/null 2>&1 || $compose build issuer
$compose up --detach --no-build
python3 demo/probe.py http://127.0.0.1:10000 http://127.0.0.1:8002
echo "compose-test: passed"
