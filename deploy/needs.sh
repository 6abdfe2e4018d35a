#!/bin/sh
# Checks what building and testing need before anything is compiled. What is missing is installed
# where that is possible (root, or sudo without a password); otherwise one exact line is printed
# and the exit code is 3.
#   deploy/needs.sh [web] [browser] [services] [deploy]
set -eu

missing=""
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need gcc gcc
need g++ g++
need git git
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -e /etc/ssl/certs/ca-certificates.crt ] || missing="$missing ca-certificates"
for group in "$@"; do
    case "$group" in
    web) # builds the page
        need node nodejs
        need npm npm
        ;;
    browser) # looks at it
        need chromium chromium
        [ -e /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf ] || missing="$missing fonts-noto-core"
        ;;
    services) # runs Kafka and TimescaleDB (deploy/services.sh)
        need java openjdk-17-jre-headless
        need mvn maven
        need mmdebstrap mmdebstrap
        need mount mount
        need openssl openssl
        ;;
    deploy) # looks at what is deployed (deploy/check.sh)
        need python3 python3
        python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
        need systemd-analyze systemd
        ;;
    *)
        echo "needs: no group is called $group" >&2
        exit 2
        ;;
    esac
done

if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of packages
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
    elif sudo -n true 2>/dev/null; then
        sudo apt-get update -qq && sudo apt-get install -y -qq --no-install-recommends $missing
    else
        echo "needs: run this, then try again: apt-get install -y --no-install-recommends$missing" >&2
        exit 3
    fi
fi

if ! command -v cargo >/dev/null 2>&1; then
    echo "needs: a Rust toolchain, 1.95 or newer (rustup, or the distribution's cargo)" >&2
    exit 3
fi
for part in fmt clippy; do
    if ! cargo "$part" --version >/dev/null 2>&1; then
        echo "needs: cargo $part is missing: rustup component add rustfmt clippy" >&2
        exit 3
    fi
done
