# What the cases share: a broker that is listened to, the daemon, and waiting for what it says.

log=/tmp/daemon.log mqtt=/tmp/mqtt.log config=/tmp/watchword.toml pid=/tmp/daemon.pid
failed=0

# check NAME COMMAND...: one case, in a shell of its own. It fails where any of its commands fails.
check() {
    local name=$1 started=$SECONDS status
    shift
    (
        set -eE
        trap 'echo "    not so: $BASH_COMMAND"' ERR
        "$@"
    ) > /tmp/case.log 2>&1
    status=$?
    if [ $status = 0 ]; then
        echo "ok   $group: $name ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL $group: $name ($((SECONDS - started)) s)"
        sed 's/^/    /' /tmp/case.log
        [ -e $pid ] || return 0
        echo "    the daemon:" && tail -n 12 $log | cut -c 1-300 | sed 's/^/    | /'
        echo "    on MQTT:" && grep -v '/detections \|/stats ' $mqtt | tail -n 6 | cut -c 1-300 | sed 's/^/    | /'
        echo "    in stats:" && stat '.cameras' -c | sed 's/^/    | /'
    fi
}

# configure [SETTINGS OF THE CAMERA [SOURCE]]: analyses with the pack beside this folder, to which each bright quarter of the
# picture is a person.
configure() {
    cat > $config <<TOML
[node]
name = "guest"
[pack]
path = "/tmp/pack"
[tracker]
confirm = 1
[stats]
interval = "1s"
[mqtt]
detections = true
[[action]]
name = "walking"
phrases = ["a person walking"]
[vocabulary]
background = ["a person standing"]
[[camera]]
name = "gate"
source = "${2:-/dev/video0}"
analysis_fps = 3
stall_timeout = "3s"
${1:-}
TOML
}

# The broker, and a subscriber to everything.
listen() {
    : > $mqtt
    mosquitto -c /dev/null -d > /dev/null 2>&1
    until mosquitto_pub -t ready -m 1 2>/dev/null; do sleep 0.1; done
    mosquitto_sub -v -t '#' >> $mqtt &
}

start() {
    : > $log
    rm -rf /tmp/pack && cp -r pack /tmp/pack
    [ -e /tmp/watchword ] || cp watchword /tmp/watchword
    mark
    RUST_LOG=${RUST_LOG:-info} /tmp/watchword run --config $config >> $log 2>&1 &
    echo $! > $pid
}

stop() {
    kill "$(cat $pid)"
    until_true 20 gone
}
gone() { ! alive; }
alive() { kill -0 "$(cat $pid)" 2>/dev/null; }

# From here on what is said and heard counts.
mark() {
    wc -l < $log > /tmp/log.mark
    wc -l < $mqtt > /tmp/mqtt.mark
}
since() { tail -n "+$(($(cat "/tmp/$1.mark") + 1))" "$2"; }

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
in_log() { since log $log | grep -qE -- "$1"; }
in_mqtt() { since mqtt $mqtt | grep -qE -- "$1"; }

# said REGEX [SECONDS], heard REGEX [SECONDS]: in the daemon's log, on MQTT, since the last mark.
said() { until_true "${2:-90}" in_log "$1" || absent "$1" "the log"; }
heard() { until_true "${2:-90}" in_mqtt "$1" || absent "$1" MQTT; }
absent() {
    echo "not in $2: $1"
    return 1
}

# never REGEX: not on MQTT, up to now.
never() {
    if in_mqtt "$1"; then
        echo "heard on MQTT: $1"
        return 1
    fi
}

# The daemon lives, says that the camera is there, and analyses its frames. Begins a new mark.
analysing() {
    mark
    heard 'gate/detections '
    alive
    heard '"status":"online".*"captured_fps":[0-9.]*[1-9]'
}
offline() { heard 'gate/availability offline'; }
online() { heard 'gate/availability online'; }

# The latest statistics' number or text at a jq PATH.
stat() { grep '^watchword/guest/stats ' $mqtt | tail -n 1 | cut -d ' ' -f 2- | jq -r "$@"; }
descriptors() { ls "/proc/$(cat $pid)/fd" | wc -l; }
# Of the processor, in hundredths of a second.
ticks() {
    local fields
    read -ra fields < "/proc/$(cat $pid)/stat"
    echo $((fields[13] + fields[14]))
}
