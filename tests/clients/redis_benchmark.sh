#!/usr/bin/env bash
# redis-benchmark PORT DEPTH: every test runs to its end and nothing is answered with an error, at which it leaves.
set -euo pipefail
port=$1
depth=$2
out=$(redis-benchmark -h 127.0.0.1 -p "$port" -t set,get,incr,mset -n 100000 -r 10000 -d 64 -P "$depth" --csv 2>&1)
echo "$out"
for test in SET GET INCR 'MSET (10 keys)'; do
    grep -qF "\"$test\",\"" <<<"$out" || { echo "no result for $test"; exit 1; }
done
