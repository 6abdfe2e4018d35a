#!/bin/sh
# Feeds each fuzz target for so many seconds with what a fuzzer makes of recorded sessions, two
# targets at a time. A finding ends it with libFuzzer's own report and exit code 1.
#   deploy/fuzz.sh [SECONDS]
set -eu
seconds="${1:-60}"
top="$(cd "$(dirname "$0")/.." && pwd)"
fuzz="$top/crates/wire/fuzz"
targets="teltonika gt06 jt808 auto"

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz" >&2
    cargo install --quiet --locked cargo-fuzz
fi

frames="$top/../shared/frames"
[ -d "$frames" ] || frames="$top/crates/wire/tests/fixtures"
cd "$fuzz"
# -s none: the stable toolchain has no sanitizers.
cargo fuzz build -s none
corpus="$fuzz/corpus"
cargo run --quiet --example seed -- "$corpus" "$frames/teltonika.jsonl" "$frames/gt06.jsonl" "$frames/jt808.jsonl"

one() { # one TARGET
    log="$fuzz/target/$1.log"
    # A finding must show within its own time; a slow input counts as one.
    if cargo fuzz run -s none "$1" -- -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        echo "fuzz: $1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no finding"
    else
        tail -n 60 "$log" >&2
        echo "fuzz: $1: a finding" >&2
        return 1
    fi
}

failed=0
set -- $targets
while [ $# -gt 0 ]; do
    one "$1" & first=$!
    second=""
    if [ $# -gt 1 ]; then
        one "$2" & second=$!
        shift
    fi
    shift
    wait "$first" || failed=1
    [ -z "$second" ] || wait "$second" || failed=1
done
exit "$failed"
