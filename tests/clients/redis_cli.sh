#!/usr/bin/env bash
# redis-cli PORT: single commands, standard input, a raw pipe, RESP3, and its scanning modes.
set -euo pipefail
port=$1
cli() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }
expect() { # expect TEXT COMMAND...: the output is the text
    local expected=$1 seen
    shift
    seen=$("$@")
    [[ $seen == "$expected" ]] || { echo "$*: expected '$expected', seen '$seen'"; exit 1; }
}

expect PONG cli ping
expect OK cli set greeting 'hello world' ex 100
expect 'hello world' cli get greeting
expect '"hello world"' cli --no-raw get greeting
expect '(nil)' cli --no-raw get absent
expect '(integer) 2' cli --no-raw exists greeting greeting
expect OK cli -n 3 set there v
expect '1' cli -n 3 dbsize
expect '(error) ERR value is not an integer or out of range' cli --no-raw incr greeting
expect '1# "server" => "redis"' bash -c "redis-cli -p $port -3 --no-raw hello 3 | sed 's/=> \"[a-z]*\"/=> \"redis\"/' | head -1"

# Any bytes, through standard input.
head -c 100000 /dev/urandom >"${TMPDIR:-/tmp}/larder-cli-$$"
trap 'rm -f "${TMPDIR:-/tmp}/larder-cli-$$"*' EXIT
expect OK cli -x set binary <"${TMPDIR:-/tmp}/larder-cli-$$"
cli get binary | head -c 100000 >"${TMPDIR:-/tmp}/larder-cli-$$.back"
cmp "${TMPDIR:-/tmp}/larder-cli-$$" "${TMPDIR:-/tmp}/larder-cli-$$.back"

# A thousand requests down a pipe.
for number in $(seq 1000); do printf 'SET key:%d %d\r\n' "$number" "$number"; done | cli --pipe | grep -q 'errors: 0, replies: 1000'
expect 1000 bash -c "redis-cli -p $port --scan --pattern 'key:*' | sort -u | wc -l"
expect 1000 cli get key:1000
cli info | grep -q '^redis_version:7\.'
cli --bigkeys >/dev/null
cli --memkeys >/dev/null
expect OK cli client setname me
cli --latency-history -i 0 >/dev/null & latency=$!
sleep 0.1; kill "$latency"; wait "$latency" 2>/dev/null || true
