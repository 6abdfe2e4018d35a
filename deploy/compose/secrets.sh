#!/bin/sh
# Makes the secrets of deploy/compose.yaml that are not there yet, in the folder secrets beside this
# file, and leaves the others as they are. The certificate is signed by its own key: put a real one
# in its place before anybody but you opens the page.
#
# The container's users are not the host's, so the files can be read by all and the folder by you
# alone.
set -eu
umask 077
mkdir -p "$(dirname "$0")/secrets"
cd "$(dirname "$0")/secrets"

made() { # made FILE: takes it from standard input, whole or not at all
    cat >"$1.new"
    chmod 444 "$1.new"
    mv "$1.new" "$1"
    echo "secrets: $1" >&2
}

[ -e auth-key ] || head -c 32 /dev/urandom | made auth-key
for name in store-password grafana-password; do
    [ -e "$name" ] || openssl rand -hex 24 | made "$name"
done
if [ ! -e console-key ] || [ ! -e console-certificate ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 \
        -subj /CN=console -addext subjectAltName=DNS:console,DNS:localhost,IP:127.0.0.1 \
        -keyout key.new -out certificate.new 2>/dev/null
    made console-certificate <certificate.new
    made console-key <key.new
    rm key.new certificate.new
fi
# Empty until the store is there to make one in (docs/operations.md, 'With containers').
if [ ! -e metrics-token ]; then
    made metrics-token </dev/null
    chmod 644 metrics-token
fi
