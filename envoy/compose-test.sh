#!/bin/sh
# Brings envoy/docker-compose.yaml up, makes calls that are allowed, refused and approved (demo/probe.py), takes it down.
# Skipped with one line where no Docker engine answers.
set -eu
cd "$(dirname "$0")/.."
if ! docker info >/dev/null 2>&1; then
  echo "compose-test: skipped, no Docker engine answers here"
  exit 0
fi
if docker compose version >/dev/null 2>&1; then
  compose="docker compose"
elif command -v docker-compose >/dev/null; then
  compose="docker-compose"
else
  echo "compose-test: skipped, docker compose is not installed"
  exit 0
fi
compose="$compose -f envoy/docker-compose.yaml -p rerank-guard-test"
probe=

end() {
  status=$?
  trap - EXIT
  trap '' INT TERM
  if [ -n "$probe" ]; then kill "$probe" 2>/dev/null || true; fi
  if [ "$status" -ne 0 ]; then
    $compose logs --no-color --tail 20 >&2 || true
    echo "compose-test: failed" >&2
  fi
  if ! said=$($compose down --timeout 5 --volumes 2>&1); then
    printf '%s\n' "$said" "compose-test: could not take everything down" >&2
    status=1
  fi
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# An image that is there is used as it is: `docker build -t rerank-guard-demo -f demo/Dockerfile .` makes it.
docker image inspect rerank-guard-demo >/dev/null 2>&1 || $compose build issuer
$compose up --detach --no-build
# In the background, so that a signal ends the wait at once.
python3 demo/probe.py http://127.0.0.1:10000 http://127.0.0.1:8002 http://127.0.0.1:8003 &
probe=$!
wait "$probe"
probe=
echo "compose-test: passed"
