#!/usr/bin/env bash
#
# kafka.sh - a real Apache Kafka on the loopback interface, for tests and for
# `make run-scaled`. Not for production: see docs/operations.md.
#
# Runs one broker, or a small cluster, in KRaft mode (no ZooKeeper, no
# containers). The jars come from Maven by coordinates the first time and are
# kept in a cache; after that nothing is downloaded. Every node is broker and
# controller at once, and everything it writes lies in one data directory.
#
#   kafka.sh start [NODE...]   fetch if needed, format if new, start, wait until
#                              ready; prints the bootstrap address on stdout
#   kafka.sh stop  [NODE...]   orderly shutdown (killed if it takes too long)
#   kafka.sh kill  NODE...     SIGKILL, to act out a crash
#   kafka.sh status            one line a node; exit status 3 unless all are up
#   kafka.sh bootstrap         print the bootstrap address
#   kafka.sh fetch             only fill the cache
#   kafka.sh clean             stop, then delete the data directory
#
# Starting what runs and stopping what does not are no errors. Only the address
# goes to stdout, messages go to stderr:   BOOTSTRAP=$(./kafka.sh start)
#
# Settings, from the environment:
#   KAFKA_DEV_DIR      data, logs, pid files   (default: $TMPDIR/kafka-dev-UID)
#   KAFKA_DEV_CACHE    jars                    (default: ~/.cache/baitwell-kafka)
#   KAFKA_DEV_NODES    1 or 3, or any number   (default: 1)
#   KAFKA_DEV_PORT     port of node 1; node N takes PORT+N-1, and controllers
#                      take PORT+100+N-1; 0 picks free ones     (default: 19092)
#   KAFKA_DEV_HEAP     heap of each node       (default: 256m)
#   KAFKA_DEV_VERSION  Kafka release           (default: 4.4.0)
#   KAFKA_DEV_EXTRA    file of more broker settings, added to every node's
#   KAFKA_DEV_OWNER    a process id: when that process has ended, however it did,
#                      the nodes are stopped and the data directory is deleted
#   KAFKA_DEV_WAIT     seconds to wait for a node to be ready    (default: 60)
#   KAFKA_DEV_JVM      flags for java, in place of -XX:TieredStopAtLevel=1, which
#                      starts in half the time but runs slower in the long run:
#                      set it to nothing to measure throughput
#
# Number of nodes and ports are fixed when the data directory is first made and
# remembered there, so later calls need only KAFKA_DEV_DIR.
#
# Needs bash, Java 17 or newer, and, for the first fetch only, Maven.

set -euo pipefail

VERSION=${KAFKA_DEV_VERSION:-4.4.0}
SCALA=2.13
LOG4J=2.25.5            # the one Kafka's own dependencies name
CACHE=${KAFKA_DEV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/baitwell-kafka}
DIR=${KAFKA_DEV_DIR:-${TMPDIR:-/tmp}/kafka-dev-$(id -u)}
HEAP=${KAFKA_DEV_HEAP:-256m}
WAIT=${KAFKA_DEV_WAIT:-60}
OWNER=${KAFKA_DEV_OWNER:-}
JVM=${KAFKA_DEV_JVM--XX:TieredStopAtLevel=1}
LIBS=$CACHE/$VERSION
SELF=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")

say() { printf '%s\n' "kafka.sh: $*" >&2; }
die() { say "$@"; exit 1; }

find_java() {
    JAVA=java
    if [ -n "${JAVA_HOME:-}" ]; then JAVA=$JAVA_HOME/bin/java; fi
    local major
    major=$("$JAVA" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1) || true
    [ -n "$major" ] || die "no Java found (need 17 or newer)"
    [ "$major" -ge 17 ] || die "Java $major found, need 17 or newer"
}

# ---------------------------------------------------------------- the jars

fetch() {
    [ -e "$LIBS/.complete" ] && return 0
    command -v mvn >/dev/null || die "Maven is needed once, to fetch Kafka $VERSION into $CACHE"
    say "fetching Kafka $VERSION (about 45 MB) into $LIBS"
    mkdir -p "$CACHE"
    local tmp
    tmp=$(mktemp -d "$CACHE/.fetch.XXXXXX")
    cat >"$tmp/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-dev</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_$SCALA</artifactId>
      <version>$VERSION</version>
    </dependency>
    <!-- Kafka logs through slf4j and leaves the binding to its packagers -->
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>$LOG4J</version>
    </dependency>
  </dependencies>
  <build><pluginManagement><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId>
    <artifactId>maven-dependency-plugin</artifactId>
    <version>3.8.1</version>
  </plugin></plugins></pluginManagement></build>
</project>
POM
    if ! mvn -q -B -ntp --strict-checksums -f "$tmp/pom.xml" dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$tmp/libs" >"$tmp/mvn.log" 2>&1; then
        tail -n 20 "$tmp/mvn.log" >&2
        rm -rf "$tmp"
        die "Maven could not fetch Kafka $VERSION"
    fi
    touch "$tmp/libs/.complete"
    # Renaming makes the cache appear whole or not at all; when another start
    # was faster, its copy stays and ours goes.
    mv "$tmp/libs" "$LIBS" 2>/dev/null || true
    rm -rf "$tmp"
    [ -e "$LIBS/.complete" ] || die "$LIBS is incomplete: delete it and start again"
}

# ------------------------------------------------- layout of the data directory

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ports_free() {
    local i
    for ((i = 0; i < $2; i++)); do
        if listening $(($1 + i)) || listening $(($1 + 100 + i)); then return 1; fi
    done
}

load_layout() {     # sets NODES and PORT when the data directory has them
    if [ -r "$DIR/layout" ]; then read -r NODES PORT <"$DIR/layout"; return 0; fi
    return 1
}

make_layout() {
    load_layout && return 0
    NODES=${KAFKA_DEV_NODES:-1}
    PORT=${KAFKA_DEV_PORT:-19092}
    case $NODES$PORT in *[!0-9]*) die "KAFKA_DEV_NODES and KAFKA_DEV_PORT must be numbers" ;; esac
    [ "$NODES" -ge 1 ] || die "KAFKA_DEV_NODES must be 1 or more"
    if [ "$PORT" -eq 0 ]; then
        local try
        for try in $(seq 50); do
            # below the range from which systems hand out ports by themselves
            PORT=$((12000 + RANDOM % 15000))
            if ports_free "$PORT" "$NODES"; then break; fi
            [ "$try" -lt 50 ] || die "found no free ports"
        done
    fi
    mkdir -p "$DIR"
    echo "$NODES $PORT" >"$DIR/layout"
}

nodes() {        # those named, or all
    if [ $# -gt 0 ]; then printf '%s\n' "$@"; else seq "$NODES"; fi
}

check_nodes() {
    local n
    for n in "$@"; do
        case $n in
            *[!0-9]* | '' | 0*) die "no node '$n'" ;;
            *) [ "$n" -le "$NODES" ] || die "no node '$n': there are $NODES" ;;
        esac
    done
}

broker_port() { echo $((PORT + $1 - 1)); }
controller_port() { echo $((PORT + 100 + $1 - 1)); }

bootstrap() {
    local n out=""
    for ((n = 1; n <= NODES; n++)); do out=$out,127.0.0.1:$(broker_port "$n"); done
    echo "${out#,}"
}

write_config() {
    local n=$1 home=$DIR/node$1 voters="" copies=$NODES insync=1 i
    for ((i = 1; i <= NODES; i++)); do voters=$voters,$i@127.0.0.1:$(controller_port "$i"); done
    if [ "$copies" -gt 3 ]; then copies=3; fi
    if [ "$copies" -eq 3 ]; then insync=2; fi
    mkdir -p "$home"
    cat >"$home/server.properties" <<CONF
process.roles=broker,controller
node.id=$n
controller.quorum.voters=${voters#,}
listeners=PLAINTEXT://127.0.0.1:$(broker_port "$n"),CONTROLLER://127.0.0.1:$(controller_port "$n")
advertised.listeners=PLAINTEXT://127.0.0.1:$(broker_port "$n")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$home/data

# a topic exists because somebody created it
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$insync

# internal topics: as many copies as there are nodes, few partitions
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$insync
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor=$copies
share.coordinator.state.topic.min.isr=$insync
share.coordinator.state.topic.num.partitions=3

# tests do not wait for stragglers, and notice the dead soon
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# small
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
CONF
    if [ -n "${KAFKA_DEV_EXTRA:-}" ]; then cat "$KAFKA_DEV_EXTRA" >>"$home/server.properties"; fi
    cat >"$home/log4j2.properties" <<'CONF'
rootLogger.level = INFO
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
CONF
}

format_storage() {
    local home=$DIR/node$1 id
    [ -e "$home/data/meta.properties" ] && return 0
    # All nodes of a cluster share its id: 16 bytes in URL-safe base64.
    if [ ! -s "$DIR/cluster.id" ]; then
        id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
        case $id in -*) id=A${id#-} ;; esac      # not to be taken for an option
        echo "$id" >"$DIR/cluster.id"
    fi
    if ! "$JAVA" -Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$LIBS/*" \
            -Dlog4j2.level=WARN \
            kafka.tools.StorageTool format --cluster-id "$(cat "$DIR/cluster.id")" \
            --config "$home/server.properties" >"$home/format.log" 2>&1; then
        cat "$home/format.log" >&2
        die "formatting the storage of node $1 failed"
    fi
}

# ------------------------------------------------------------- the processes

pid_of() {      # prints the pid when that process is indeed our node
    local file=$DIR/node$1/pid pid
    [ -s "$file" ] || return 1
    read -r pid <"$file"
    case $(ps -ww -p "$pid" -o args= 2>/dev/null) in
        *"$DIR/node$1/server.properties"*) echo "$pid" ;;
        *) return 1 ;;
    esac
}

launch() {
    local n=$1 home=$DIR/node$1
    if listening "$(broker_port "$n")" || listening "$(controller_port "$n")"; then
        die "something else listens on port $(broker_port "$n") or $(controller_port "$n")"
    fi
    [ -s "$home/server.log" ] && mv "$home/server.log" "$home/server.log.1"
    # A process group of its own (set -m), so that neither Ctrl-C at the caller
    # nor the end of the caller's group takes the broker along.
    set -m
    # shellcheck disable=SC2086  # the flags are meant to split
    nohup "$JAVA" -Xms64m -Xmx"$HEAP" -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError \
        -XX:MaxDirectMemorySize=128m -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$home/log4j2.properties" \
        -Dkafka.logs.dir="$home" $JVM \
        -cp "$LIBS/*" kafka.Kafka "$home/server.properties" \
        </dev/null >"$home/server.log" 2>&1 &
    echo $! >"$home/pid"
    set +m
}

wait_ready() {
    local n=$1 home=$DIR/node$1 end=$((SECONDS + WAIT)) pid
    # Not pid_of: for a moment after the fork, ps does not show java yet.
    read -r pid <"$home/pid"
    until grep -q 'Kafka Server started' "$home/server.log" 2>/dev/null &&
          listening "$(broker_port "$n")"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            tail -n 30 "$home/server.log" >&2
            die "node $n ended while starting; its log is $home/server.log"
        fi
        if [ "$SECONDS" -ge "$end" ]; then
            kill -9 "$pid" 2>/dev/null || true
            die "node $n not ready after $WAIT s; its log is $home/server.log"
        fi
        sleep 0.1
    done
}

# Polls, because a process that is no child of ours cannot be waited for.
guard() {
    while kill -0 "$OWNER" 2>/dev/null && [ -e "$DIR/layout" ]; do sleep 1; done
    if ! kill -0 "$OWNER" 2>/dev/null; then clean; fi
}

start_guard() {
    set -m
    KAFKA_DEV_DIR=$DIR nohup "$SELF" guard </dev/null >/dev/null 2>&1 &
    set +m
}

start() {
    local n fresh=""
    find_java
    make_layout
    check_nodes "$@"
    fetch
    for n in $(nodes "$@"); do
        pid_of "$n" >/dev/null && continue
        write_config "$n"
        format_storage "$n"
        launch "$n"
        fresh="$fresh $n"
    done
    # Only now: in a cluster no node is ready before most of them run.
    for n in $(nodes "$@"); do wait_ready "$n"; done
    if [ -n "$fresh" ]; then say "node(s)$fresh ready"; fi
    if [ -n "$fresh" ] && [ -n "$OWNER" ]; then start_guard; fi
    bootstrap
}

stop() {
    local n pid end
    load_layout || return 0
    check_nodes "$@"
    # All at once: waiting for one after the other would leave the last ones
    # without a quorum, each until its own time is up.
    for n in $(nodes "$@"); do
        if pid=$(pid_of "$n"); then kill "$pid" 2>/dev/null || true; fi
    done
    end=$((SECONDS + 30))
    for n in $(nodes "$@"); do
        while pid=$(pid_of "$n"); do
            if [ "$SECONDS" -ge "$end" ]; then
                say "node $n did not stop in time: killed"
                kill -9 "$pid" 2>/dev/null || true
            fi
            sleep 0.1
        done
        rm -f "$DIR/node$n/pid"
    done
}

crash() {
    local n pid
    load_layout || die "nothing runs in $DIR"
    [ $# -gt 0 ] || die "which node?"
    check_nodes "$@"
    for n in "$@"; do
        pid=$(pid_of "$n") || die "node $n does not run"
        kill -9 "$pid"
        while pid_of "$n" >/dev/null; do sleep 0.05; done
        rm -f "$DIR/node$n/pid"
    done
}

status() {
    local n pid down=0
    if ! load_layout; then echo "nothing in $DIR"; return 3; fi
    for ((n = 1; n <= NODES; n++)); do
        if pid=$(pid_of "$n") && listening "$(broker_port "$n")"; then
            echo "node $n up, pid $pid, 127.0.0.1:$(broker_port "$n")"
        else
            echo "node $n down"
            down=3
        fi
    done
    return $down
}

clean() {
    stop
    # Deletes only what this script made.
    if [ -e "$DIR/layout" ]; then rm -rf "$DIR"/node[0-9]* "$DIR/layout" "$DIR/cluster.id"; fi
    rmdir "$DIR" 2>/dev/null || true
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
    start) start "$@" ;;
    stop) stop "$@" ;;
    restart) stop "$@"; start "$@" ;;
    kill) crash "$@" ;;
    status) status ;;
    bootstrap) load_layout || die "nothing in $DIR"; bootstrap ;;
    fetch) find_java; fetch ;;
    clean) clean ;;
    guard) guard ;;     # started by start when there is an owner
    *) sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2; [ "$command" = help ] || exit 2 ;;
esac
