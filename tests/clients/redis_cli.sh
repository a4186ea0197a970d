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
expect '1# "server" => "redis"' bash -c "redis-cli -p $port -3 --no-raw hello 3 | sed -n '1s/=> \"[a-z]*\"/=> \"redis\"/p'"

# Any bytes, through standard input.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
head -c 100000 /dev/urandom >"$folder/sent"
expect OK cli -x set binary <"$folder/sent"
cli get binary >"$folder/back"
cmp --bytes=100000 "$folder/sent" "$folder/back"

# A thousand requests down a pipe.
for number in $(seq 1000); do printf 'SET key:%d %d\r\n' "$number" "$number"; done | cli --pipe >"$folder/pipe"
grep -q 'errors: 0, replies: 1000' "$folder/pipe"
expect 1000 bash -c "redis-cli -p $port --scan --pattern 'key:*' | sort -u | wc -l"
expect 1000 cli get key:1000
cli info >"$folder/info"
grep -q '^redis_version:7\.' "$folder/info"
cli --bigkeys >/dev/null
cli --memkeys >/dev/null
expect OK cli client setname me
# Not by `cli`: the process to end would be the shell that runs the function, and redis-cli would go on.
redis-cli -h 127.0.0.1 -p "$port" --latency-history -i 0 >/dev/null & latency=$!
sleep 0.1; kill "$latency"; wait "$latency" 2>/dev/null || true
