#!/usr/bin/env bash
# A real Apache Kafka and a real PostgreSQL with TimescaleDB for development and tests, on loopback,
# on ports and in a folder of their own, ended by the process ids that starting them gave.
#
#   deploy/services.sh start [kafka|postgres|cluster ...]   default: kafka postgres
#   deploy/services.sh env      prints `export` lines for what runs
#   deploy/services.sh stop     ends exactly what start began
#   deploy/services.sh with [kafka|postgres|cluster ... --] COMMAND...
#                               runs a command with all of them, or with these, then ends what it
#                               began
#   deploy/services.sh kill|again|freeze|thaw NODE
#                               for faults: a node of Kafka (kafka-2), what leads other nodes to it
#                               (link-2) or `postgres` is killed and started again, or one of the
#                               former stopped and let go on
#   deploy/services.sh narrow|fill|clear|widen postgres
#                               for faults: PostgreSQL's log is moved to a small disk of its own,
#                               room for it is taken, and given back (PostgreSQL is started, if it
#                               has ended by it), and the log moved back
#
# `cluster` is a Kafka of three nodes, for faults. Each node has two more listeners, whose names
# lead to the same ports of 127.0.0.2 and 127.0.0.3: whoever listens there stands between gateways
# or workers and the nodes. The nodes know each other by 127.0.0.4, where a link for each of them
# stands (its controllers excepted). Addresses in WAYWARDEN_TEST_KAFKA and
# WAYWARDEN_TEST_POSTGRES stand above everything: nothing is started for them. Kafka comes from Maven
# Central, TimescaleDB from Debian 13 in a folder of its own (root or sudo). Both speak TLS as well,
# with certificates of an authority of their own (run/tls/ca.pem): PostgreSQL at the same address,
# with a password and nothing but TLS for the role `guarded`; Kafka at two more, of which each asks
# the user `waywarden` for the password `only-for-tests`.
set -euo pipefail
top="$(cd "$(dirname "$0")/.." && pwd)"
place="${WAYWARDEN_SERVICES:-$top/target/services}"
mkdir -p "$place/run"

say() { echo "services: $*" >&2; }

need() { # need COMMAND PACKAGE...
    command -v "$1" >/dev/null 2>&1 && return
    shift
    if [ "$(id -u)" = 0 ]; then
        apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends "$@" >&2
    elif sudo -n true 2>/dev/null; then
        sudo apt-get update -qq >&2 && sudo apt-get install -y -qq --no-install-recommends "$@" >&2
    else
        say "run this, then try again: apt-get install -y --no-install-recommends $*"
        exit 3
    fi
}

free_port() {
    # The kernel's own choice, by a socket that is closed again.
    java "$top/deploy/services/FreePort.java"
}

# A process that has ended and that nobody has asked after yet is not alive.
alive() {
    [ -s "$place/run/$1.pid" ] && ! grep -q "^State:\s*Z" "/proc/$(cat "$place/run/$1.pid")/status" 2>/dev/null \
        && kill -0 "$(cat "$place/run/$1.pid")" 2>/dev/null
}

wait_for() { # wait_for PORT WHAT LOG
    for _ in $(seq 300); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.2
    done
    say "$2 does not answer; $3 says:"
    tail -n 20 "$3" >&2
    exit 1
}

# Certificates for 127.0.0.1 and no other name, and another authority that has signed nothing.
certificates() {
    local at="$place/run/tls" kind=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc)
    [ -e "$at/server.pem" ] && return
    need openssl openssl
    mkdir -p "$at"
    (
        cd "$at"
        for name in ca other-ca; do
            openssl req -x509 "${kind[@]}" -days 30 -subj "/CN=Waywarden test $name" \
                -keyout "$name.key" -out "$name.pem"
        done
        openssl req "${kind[@]}" -subj "/CN=Waywarden test" -keyout server.key -out server.csr
        echo "subjectAltName=IP:127.0.0.1" >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 \
            -extfile server.ext -out server.new
        cat server.key server.new >both.pem
        mv server.new server.pem
    ) >"$place/run/tls.log" 2>&1 && return
    say "no certificates; $place/run/tls.log tells why"
    exit 1
}

libraries() {
    need java openjdk-17-jre-headless
    [ -e "$place/kafka/.whole" ] && return
    need mvn maven openjdk-17-jre-headless
    say "fetching Kafka"
    mvn -q -B -f "$top/deploy/services/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$place/kafka" >&2
    touch "$place/kafka/.whole"
}

tool() { java -cp "$place/kafka/*" kafka.tools.StorageTool "$@"; }

new_id() { # an id as Kafka makes them; one that begins with a dash would be read as an option
    local id
    for _ in 1 2 3 4 5; do
        id="$(tool random-uuid 2>/dev/null | tail -n 1)" || continue
        [[ "$id" =~ ^[A-Za-z0-9_][A-Za-z0-9_-]{21}$ ]] && echo "$id" && return
    done
    say "Kafka makes no id; the last was '$id'"
    exit 1
}

format() { # format NAME ARGUMENTS...: makes a node's folders
    local name="$1"
    shift
    for _ in 1 2 3; do
        rm -rf "$place/run/$name.data"
        tool format "$@" --config "$place/run/$name.properties" >"$place/run/$name.log" 2>&1 && return
    done
    say "$name cannot be formatted:"
    tail -n 20 "$place/run/$name.log" >&2
    exit 1
}

# node NAME ID CLIENTS CONTROLLER VOTERS COPIES [MORE [TOLD]]: writes the properties of one node, with
# MORE listeners; clients are TOLD other addresses of them, where those are given.
node() {
    cat >"$place/run/$1.properties" <<END
process.roles=broker,controller
node.id=$2
controller.quorum.bootstrap.servers=$5
listeners=PLAINTEXT://127.0.0.1:$3,CONTROLLER://127.0.0.1:$4${7:-}
advertised.listeners=PLAINTEXT://127.0.0.1:$3${8:-${7:-}}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,GATEWAYS:PLAINTEXT,WORKERS:PLAINTEXT,NODES:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$place/run/$1.data
offsets.topic.replication.factor=$6
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$6
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=$6
share.coordinator.state.topic.min.isr=1
min.insync.replicas=$(($6 > 1 ? 2 : 1))
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
END
}

# What the listeners with passwords need: the properties of their kinds.
secured() {
    local login=org.apache.kafka.common.security
    cat <<END
listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_plaintext.plain.sasl.jaas.config=$login.plain.PlainLoginModule required \
    user_waywarden="only-for-tests";
listener.name.sasl_ssl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required \
    user_waywarden="only-for-tests";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.ssl.keystore.location=$place/run/tls/both.pem
END
}

launch() { # launch NAME: starts a node that has been formatted, or a link
    local memory=512 what
    [ "$1" = kafka ] || memory=384
    what=(-Xms256m -Xmx${memory}m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
        -cp "$place/kafka/*" kafka.Kafka "$place/run/$1.properties")
    if [ -e "$place/run/$1.port" ]; then
        what=(-Xmx64m -XX:+UseSerialGC "$top/deploy/services/Link.java"
            "$(cat "$place/run/$1.port")" 127.0.0.4 127.0.0.1)
    fi
    java "${what[@]}" >>"$place/run/$1.log" 2>&1 </dev/null &
    echo $! >"$place/run/$1.pid"
    # Its end, which may be a test's doing, is nothing for this shell to remark on.
    disown
}

start_kafka() {
    [ -n "${WAYWARDEN_TEST_KAFKA:-}" ] && return
    alive kafka && return
    libraries
    local clients controller sasl tls id
    clients="$(free_port)"
    controller="$(free_port)"
    sasl="$(free_port)"
    tls="$(free_port)"
    certificates
    node kafka 1 "$clients" "$controller" "127.0.0.1:$controller" 1 \
        ",SASL_PLAINTEXT://127.0.0.1:$sasl,SASL_SSL://127.0.0.1:$tls"
    secured >>"$place/run/kafka.properties"
    id="$(new_id)"
    format kafka --standalone --cluster-id "$id" \
        --add-scram "SCRAM-SHA-256=[name=waywarden,password=only-for-tests]"
    launch kafka
    wait_for "$clients" Kafka "$place/run/kafka.log"
    wait_for "$tls" "Kafka with TLS" "$place/run/kafka.log"
    echo "127.0.0.1:$sasl" >"$place/run/kafka-sasl.address"
    echo "127.0.0.1:$tls" >"$place/run/kafka-tls.address"
    echo "127.0.0.1:$clients" >"$place/run/kafka.address"
    say "Kafka at 127.0.0.1:$clients"
}

start_cluster() {
    if alive kafka-1 && alive kafka-2 && alive kafka-3; then
        # A test that was killed may have left them so.
        local link
        for link in link-1 link-2 link-3; do alive "$link" || launch "$link"; done
        return
    fi
    libraries
    local id directory voters="" initial="" n clients=() controllers=() gateways=() workers=() nodes=()
    id="$(new_id)"
    for n in 1 2 3; do
        clients[n]="$(free_port)" controllers[n]="$(free_port)"
        gateways[n]="$(free_port)" workers[n]="$(free_port)" nodes[n]="$(free_port)"
        voters="$voters${voters:+,}127.0.0.1:${controllers[n]}"
        directory="$(new_id)"
        initial="$initial${initial:+,}$n@127.0.0.1:${controllers[n]}:$directory"
    done
    for n in 1 2 3; do
        node "kafka-$n" "$n" "${clients[n]}" "${controllers[n]}" "$voters" 3 \
            ",GATEWAYS://127.0.0.1:${gateways[n]},WORKERS://127.0.0.1:${workers[n]},NODES://127.0.0.1:${nodes[n]}" \
            ",GATEWAYS://127.0.0.2:${gateways[n]},WORKERS://127.0.0.3:${workers[n]},NODES://127.0.0.4:${nodes[n]}"
        sed -i "s/^inter.broker.listener.name=.*/inter.broker.listener.name=NODES/" \
            "$place/run/kafka-$n.properties"
        echo "${nodes[n]}" >"$place/run/link-$n.port"
        launch "link-$n"
        format "kafka-$n" --cluster-id "$id" --initial-controllers "$initial"
        launch "kafka-$n"
    done
    local addresses="" toward_gateways="" toward_workers=""
    for n in 1 2 3; do
        wait_for "${clients[n]}" "Kafka node $n" "$place/run/kafka-$n.log"
        addresses="$addresses${addresses:+,}127.0.0.1:${clients[n]}"
        toward_gateways="$toward_gateways${toward_gateways:+,}127.0.0.2:${gateways[n]}"
        toward_workers="$toward_workers${toward_workers:+,}127.0.0.3:${workers[n]}"
    done
    echo "$addresses" >"$place/run/cluster.address"
    echo "$toward_gateways" >"$place/run/gateways.address"
    echo "$toward_workers" >"$place/run/workers.address"
    say "Kafka of three nodes at $addresses"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

inside() {
    as_root chroot --userspec=postgres:postgres --groups=postgres "$place/debian" \
        env -i PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin LC_ALL=C.UTF-8 "$@"
}

# PostgreSQL's folder of its log, and where it is while a small disk stands in its place.
wal="$place/debian/var/lib/postgresql/data/pg_wal"
wide="$place/debian/var/lib/postgresql/pg_wal"

is_narrow() { as_root mountpoint -q "$wal"; }

postgres_port() { grep -o 'port=[0-9]*' "$place/run/postgres.address" | cut -d= -f2; }

launch_postgres() { # launch_postgres PORT: starts the server; waits for a crash to be recovered from
    local log=""
    ! is_narrow || log="-c max_wal_size=64MB -c min_wal_size=32MB"
    # A backend of a server that was killed may hold its memory for a moment.
    for _ in $(seq 50); do
        inside pg_isready -q -h 127.0.0.1 -p "$1" && return
        inside pg_ctl -D /var/lib/postgresql/data -l /var/lib/postgresql/log -w -o "-p $1 $log \
            -c ssl=on -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp \
            -c max_connections=200 \
            -c shared_preload_libraries=timescaledb -c timescaledb.telemetry_level=off" start \
            >>"$place/run/postgres.log" 2>&1 && return
        sleep 0.2
    done
    say "PostgreSQL does not start; $place/run/postgres.log tells why"
    exit 1
}

# The server's key and certificate where it looks for them, and a role that needs both TLS and a
# password.
guard_postgres() {
    local of
    for of in server.key:key server.pem:crt; do
        inside sh -c "umask 077; cat >/var/lib/postgresql/data/server.${of#*:}" \
            <"$place/run/tls/${of%:*}"
    done
    inside sh -c 'cd /var/lib/postgresql/data
        printf "%s\n" "hostssl all guarded all scram-sha-256" "host all guarded all reject" \
            | cat - pg_hba.conf >pg_hba.new && mv pg_hba.new pg_hba.conf'
}

start_postgres() {
    [ -n "${WAYWARDEN_TEST_POSTGRES:-}" ] && return
    [ -e "$place/run/postgres.address" ] && inside pg_ctl -D /var/lib/postgresql/data status \
        >/dev/null 2>&1 && return
    need java openjdk-17-jre-headless
    if [ ! -e "$place/debian/.whole" ]; then
        need mmdebstrap mmdebstrap
        say "fetching TimescaleDB"
        rm -rf "$place/debian"
        mmdebstrap --quiet --variant=essential --include=postgresql-17-timescaledb \
            --aptopt='APT::Install-Recommends "false"' trixie "$place/debian" >&2
        chmod 1777 "$place/debian/dev/shm"
        touch "$place/debian/.whole"
    fi
    local port data=/var/lib/postgresql/data
    port="$(free_port)"
    unmount_wal
    rm -rf "$place/debian$data" "$wide"
    inside initdb -D $data -U postgres -A trust -E UTF8 --locale=C.UTF-8 \
        >"$place/run/postgres.log" 2>&1
    certificates
    guard_postgres
    launch_postgres "$port"
    echo "host=127.0.0.1 port=$port user=postgres dbname=postgres" >"$place/run/postgres.address"
    say "PostgreSQL with TimescaleDB at 127.0.0.1:$port"
}

halt_postgres() {
    inside pg_ctl -D /var/lib/postgresql/data -m fast -w stop >/dev/null 2>&1 || true
}

unmount_wal() {
    ! is_narrow || as_root umount -l "$wal"
}

narrow() {
    # A test that was killed may have left it so.
    widen
    halt_postgres
    as_root mv "$wal" "$wide"
    as_root mkdir "$wal"
    if ! as_root mount -t tmpfs -o size=160m waywarden-test "$wal"; then
        as_root rmdir "$wal"
        as_root mv "$wide" "$wal"
        launch_postgres "$(postgres_port)"
        say "a full disk is tested where a small one may be mounted only: as root, and in a container" \
            "with the capability SYS_ADMIN"
        exit 3
    fi
    as_root cp -a "$wide/." "$wal/"
    as_root chown --reference="$wide" "$wal"
    as_root chmod 700 "$wal"
    launch_postgres "$(postgres_port)"
}

widen() {
    is_narrow || return 0
    clear_disk
    halt_postgres
    as_root find "$wide" -mindepth 1 -delete
    as_root cp -a "$wal/." "$wide/"
    unmount_wal
    as_root rmdir "$wal"
    as_root mv "$wide" "$wal"
    launch_postgres "$(postgres_port)"
}

ask_postgres() { # ask_postgres STATEMENT
    inside psql -q -h 127.0.0.1 -p "$(postgres_port)" -U postgres -c "$1" >/dev/null
}

# What is written from then on is kept for a standby that never comes, as a server is told that has
# lost one, and all room but what the log has already is taken.
fill() {
    is_narrow || { say "deploy/services.sh narrow comes before it" && exit 2; }
    ask_postgres "SELECT pg_create_physical_replication_slot('forgotten', true)"
    as_root dd if=/dev/zero of="$wal/ballast" bs=1M status=none 2>/dev/null || true
}

clear_disk() {
    as_root rm -f "$wal/ballast"
    launch_postgres "$(postgres_port)"
    ask_postgres "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = 'forgotten'"
    ask_postgres CHECKPOINT
}

show() { # show VARIABLE NAME
    if [ -n "${!1:-}" ]; then
        printf 'export %s=%q\n' "$1" "${!1}"
    elif [ -e "$place/run/$2.address" ]; then
        printf 'export %s=%q\n' "$1" "$(cat "$place/run/$2.address")"
    fi
}

all() {
    show WAYWARDEN_TEST_KAFKA kafka
    show WAYWARDEN_TEST_KAFKA_SASL kafka-sasl
    show WAYWARDEN_TEST_KAFKA_TLS kafka-tls
    show WAYWARDEN_TEST_KAFKA_CLUSTER cluster
    show WAYWARDEN_TEST_KAFKA_GATEWAYS gateways
    show WAYWARDEN_TEST_KAFKA_WORKERS workers
    show WAYWARDEN_TEST_POSTGRES postgres
}

stop() {
    local pid name
    for name in kafka kafka-1 kafka-2 kafka-3 link-1 link-2 link-3; do
        alive "$name" || continue
        pid="$(cat "$place/run/$name.pid")"
        kill "$pid"
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
    if [ -e "$place/run/postgres.address" ]; then
        halt_postgres
        unmount_wal
    fi
    rm -rf "$place/run"
}

command="${1:-start}"
shift || true
case "$command" in
start)
    [ $# -gt 0 ] || set -- kafka postgres
    for service in "$@"; do
        case "$service" in
        kafka | cluster | postgres) "start_$service" ;;
        *) say "there is no service $service" && exit 2 ;;
        esac
    done
    ;;
env)
    all
    # For faults: where the nodes' process ids and properties are.
    printf 'export WAYWARDEN_TEST_SERVICES=%q\n' "$place"
    ;;
stop) stop ;;
with)
    # What ran before goes on running afterwards.
    [ -e "$place/run/kafka.address" ] || trap stop EXIT
    wanted=()
    while [[ "${1:-}" =~ ^(kafka|cluster|postgres)$ ]]; do wanted+=("$1") && shift; done
    if [ ${#wanted[@]} = 0 ]; then
        wanted=(kafka cluster postgres)
    elif [ "${1:-}" = -- ]; then
        shift
    fi
    for service in "${wanted[@]}"; do "start_$service"; done
    eval "$(all)"
    export WAYWARDEN_TEST_SERVICES="$place"
    "$@"
    ;;
kill)
    if [ "$1" = postgres ]; then
        # Its children see that it is gone, and end.
        kill -9 "$(head -n 1 "$place/debian/var/lib/postgresql/data/postmaster.pid")"
    else
        alive "$1" && kill -9 "$(cat "$place/run/$1.pid")"
    fi
    ;;
again)
    if [ "$1" = postgres ]; then
        launch_postgres "$(postgres_port)"
    else
        alive "$1" || launch "$1"
    fi
    ;;
freeze) alive "$1" && kill -STOP "$(cat "$place/run/$1.pid")" ;;
thaw) alive "$1" && kill -CONT "$(cat "$place/run/$1.pid")" ;;
narrow | fill | widen) "$command" ;;
clear) clear_disk ;;
*)
    say "deploy/services.sh start|env|stop|with|kill|again|freeze|thaw|narrow|fill|clear|widen"
    exit 2
    ;;
esac
