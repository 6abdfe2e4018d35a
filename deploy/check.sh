#!/usr/bin/env bash
# Checks what is deployed by the tools of those who run it: hadolint, the Compose specification, the
# schemas of Kubernetes, KEDA and Grafana, systemd-analyze, promtool. What it needs beside
# deploy/needs.sh it puts below target, whole or not at all. That the parts fit to each other and to
# the program is tested in tests/tests/deploy/main.rs and tests/tests/telemetry.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
tools="$PWD/target/deploy-check"
mkdir -p "$tools"
# The oldest release that the manifests are meant for.
kubernetes=1.33

made=("$tools/work")
trap 'rm -rf "${made[@]}"' EXIT
say() { echo "deploy-check: $*"; }

# Fetches what a list names, once for each list: fetch NAME LIST COMMAND...
fetch() {
    local name="$1" list="$2" sum
    shift 2
    sum="$(sha256sum "$list" | cut -c 1-64)"
    [ "$(cat "$tools/$name/.made-of" 2>/dev/null)" = "$sum" ] && return
    say "fetching what $list names"
    rm -rf "${tools:?}/$name"
    "$@" "$tools/$name"
    echo "$sum" >"$tools/$name/.made-of"
}

python_tools() {
    python3 -m venv "$1"
    "$1/bin/pip" install --quiet --disable-pip-version-check -r deploy/check/requirements.txt
}

node_tools() {
    mkdir -p "$1"
    cp deploy/check/package.json deploy/check/package-lock.json "$1"
    npm ci --silent --no-audit --no-fund --prefix "$1"
}

take() { apt-get -qq -o APT::Sandbox::User=root download prometheus; }

# Debian's package of Prometheus would start a server: its tool is taken out of it.
prom() {
    if command -v promtool >/dev/null 2>&1; then
        command promtool "$@"
        return
    fi
    if [ ! -x "$tools/promtool" ]; then
        say "fetching promtool"
        mkdir -p "$tools/work/deb"
        (
            cd "$tools/work/deb"
            # Where no package is known yet, their lists are fetched first.
            take || { $([ "$(id -u)" = 0 ] || echo sudo -n) apt-get update -qq && take; }
            dpkg-deb -x prometheus_*.deb .
        )
        mv "$tools/work/deb/usr/bin/promtool" "$tools/promtool"
    fi
    "$tools/promtool" "$@"
}

fetch python deploy/check/requirements.txt python_tools
fetch node deploy/check/package-lock.json node_tools
rm -rf "$tools/work"
mkdir -p "$tools/work"

say "image"
"$tools/python/bin/hadolint" deploy/Dockerfile

say "compose"
"$tools/python/bin/python" deploy/check/compose.py deploy/compose.yaml

say "kubernetes"
find deploy/kubernetes -name '*.yaml' ! -name kustomization.yaml -print0 | sort -z \
    | xargs -0 "$tools/python/bin/python" deploy/check/kubernetes.py "$kubernetes" \
    >"$tools/work/keda.json"
cp deploy/check/*.mjs "$tools/node/"
node "$tools/node/keda.mjs" <"$tools/work/keda.json"

say "units"
for unit in deploy/systemd/*.service; do
    # The program need not be installed to check its unit.
    sed 's#/usr/local/bin/waywarden#/bin/true#' "$unit" >"$tools/work/$(basename "$unit")"
done
# What it does not understand it only remarks on.
systemd-analyze verify --man=no "$tools"/work/*.service 2>&1 | tee "$tools/work/remarks" >&2
[ ! -s "$tools/work/remarks" ]
# Out of 100, where 0 is the least that an intruder could reach.
systemd-analyze security --offline=true --no-pager --threshold=15 "$tools"/work/*.service \
    >"$tools/work/exposure" || { cat "$tools/work/exposure" >&2 && exit 1; }

say "dashboards"
boards=(deploy/grafana/dashboards/*.json)
node "$tools/node/dashboards.mjs" "${boards[@]}" >"$tools/node/dashboards.ts"
crates/console/web/node_modules/.bin/tsc --noEmit --strict --skipLibCheck \
    --module esnext --moduleResolution bundler "$tools/node/dashboards.ts"
"$tools/python/bin/python" deploy/check/expressions.py "${boards[@]}" \
    >"$tools/work/expressions.yml"
prom check rules --lint=none "$tools/work/expressions.yml" >"$tools/work/said" 2>&1 \
    || { cat "$tools/work/said" >&2 && exit 1; }

say "alerts"
for config in prometheus kubernetes; do
    prom check config --syntax-only "deploy/prometheus/$config.yml"
done
prom check rules deploy/prometheus/alerts.yml
prom test rules deploy/prometheus/alerts.test.yml
