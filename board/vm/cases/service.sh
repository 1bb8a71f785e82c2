# The package from installation to purge, and the service that it brings.
#: systemd

config=/etc/watchword/watchword.toml
drop_in=/run/systemd/system/watchword.service.d
property() { systemctl show --value -p "$1" watchword; }
is() { [ "$(property "$1")" = "$2" ]; }

# As prelude.sh's, for the service: its journal is the log, its state folder has the pack.
start() {
    : > $log
    mark
    pkill -x journalctl || true
    journalctl -q -f -n 0 -u watchword -o cat >> $log &
    settings
    systemctl restart watchword
    property MainPID > $pid
}
settings() { sed -i 's|path = "/tmp/pack"|path = "/var/lib/watchword/pack"|' $config; }
alive() { is ActiveState active; }
unit() { # SETTINGS: of the service, from its next start on
    mkdir -p $drop_in
    printf '[Service]\n%s\n' "$1" > $drop_in/test.conf
    systemctl daemon-reload
}

installs() {
    local file
    camera vivid 320 180 15
    chmod 666 /dev/video0
    dpkg -i watchword.deb
    [ "$(systemctl is-enabled watchword || true)" = disabled ]
    is ActiveState inactive
    [ "$(command stat -c '%U %a' /var/lib/watchword)" = "watchword 750" ]
    [ "$(command stat -c '%U %a' /etc/watchword/watchword.toml)" = "root 644" ]
    udevadm settle
    [ "$(command stat -c '%G %a' /dev/video0)" = "video 660" ]
    watchword config check $config
    for file in man1/watchword.1.gz man1/watchword-run.1.gz bash-completion/completions/watchword \
        zsh/vendor-completions/_watchword vendor_completions.d/watchword.fish doc/watchword/copyright; do
        dpkg -L watchword | grep -q "$file"
    done
}
exposure() { # FILE...: of the unit with these drop-ins, in tenths
    rm -rf $drop_in && mkdir -p $drop_in
    [ $# = 0 ] || cp "$@" $drop_in
    systemctl daemon-reload
    systemd-analyze security --no-pager watchword | sed -n 's/.*Overall exposure level.*: \([0-9]*\)\.\([0-9]\).*/\1\2/p'
    rm -rf $drop_in
    systemctl daemon-reload
}
confined() {
    local file found
    systemd-analyze verify --man=no watchword.service
    found=$(exposure)
    echo "exposure in tenths: $found"
    [ "$found" -le 20 ]
    for file in /usr/share/watchword/drop-ins/{rockchip,jetson,decoder}.conf; do
        found=$(exposure "$file")
        echo "with $file: $found"
        [ "$found" -le 20 ]
    done
}
starts() {
    listen
    configure 'size = [320, 180]'
    cp -r pack /var/lib/watchword/pack
    systemctl enable watchword
    start
    # `systemctl start` has returned: what it was told is so already.
    heard 'gate/detections ' 5
    online
    analysing
    is StatusText "1 of 1 cameras online"
    [ "$(ps -o user= -p "$(cat $pid)")" = watchword ]
    is NRestarts 0
}
reloads() {
    mark
    systemctl reload watchword
    heard 'watchword/guest/config .*"ok":true'
    analysing
    is MainPID "$(cat $pid)"
}
waits_for_a_frame() {
    local restart
    camera fault percentage_of_dropped_buffers=100
    configure 'size = [320, 180]'
    sed -i 's/stall_timeout = .*/stall_timeout = "5m"/' $config
    systemctl stop watchword
    start & restart=$!
    said 'camera opened'
    sleep 10
    is ActiveState activating
    camera fault percentage_of_dropped_buffers=0
    wait $restart
    alive
    analysing
}
# The service's own minute would be long to wait for.
away() {
    unit 'WatchdogSec=10s'
    configure 'size = [320, 180]'
    start
    online
    mark
    camera unplug
    offline
    sleep 30
    is NRestarts 0
    is MainPID "$(cat $pid)"
    is StatusText "0 of 1 cameras online, gate lost"
    camera plug > /dev/null
    online
    analysing
}
off_duty() {
    mark
    configure "size = [320, 180]
schedule = [\"$(date -d '12 hours' +%H:00)-$(date -d '13 hours' +%H:00)\"]"
    settings
    offline
    sleep 30
    is NRestarts 0
    is MainPID "$(cat $pid)"
    is StatusText "0 of 1 cameras online, gate scheduled off"
    configure 'size = [320, 180]'
    settings
    online
    analysing
}
# Only the thread that analyses is held up, as by a driver that does not answer: the others go on.
wedged() {
    local thread before
    thread=$(cat $pid)
    mark
    perl -e '
        $number = `uname -m` =~ /x86_64/ ? 101 : 117; # ptrace
        syscall($number, 16, $ARGV[0] + 0, 0, 0) == 0 or die "attach: $!";
        1 while waitpid($ARGV[0], 0x40000000) > 0' "$thread" &
    until_true 30 grep -q '^State:.*tracing stop' "/proc/$thread/task/$thread/status"
    sleep 2
    mark
    sleep 3
    never 'gate/detections '
    until_true 60 is NRestarts 1
    said 'Watchdog timeout'
    until_true 60 alive
    property MainPID > $pid
    [ "$(cat $pid)" != "$thread" ]
    analysing
}
no_camera() {
    camera unplug
    start
    alive
    until_true 20 is StatusText "0 of 1 cameras online, gate lost"
    camera plug > /dev/null
    online
    analysing
}
storm() {
    unit 'RestartSec=1s'
    echo 'this is no configuration' > $config
    ! start
    until_true 120 is ActiveState failed
    said 'Start request repeated too quickly' 5
    echo "started again $(property NRestarts) times"
    [ "$(property NRestarts)" -le 10 ]
    rm -rf $drop_in
    systemctl daemon-reload
    systemctl reset-failed watchword
}
credential() {
    echo secret > /etc/credstore/watchword.mqtt-password
    chmod 600 /etc/credstore/watchword.mqtt-password
    mosquitto_passwd -c -b /tmp/passwords gate secret
    chmod 644 /tmp/passwords
    printf 'listener 1884 127.0.0.1\npassword_file /tmp/passwords\n' > /tmp/mosquitto.conf
    mosquitto -c /tmp/mosquitto.conf -d > /dev/null 2>&1
    configure 'size = [320, 180]'
    sed -i 's/^\[mqtt\]/&\nport = 1884\nusername = "gate"\npassword_file = "credential:mqtt-password"/' $config
    start
    [ "$(timeout 60 mosquitto_sub -p 1884 -u gate -P secret -C 1 -t watchword/guest/availability)" = online ]
    configure 'size = [320, 180]'
    start
    online
}
upgrades() {
    local before
    before=$(property MainPID)
    dpkg-deb -R watchword.deb /tmp/new
    sed -i 's/^Version: .*/Version: 99.0-1/' /tmp/new/DEBIAN/control
    echo '# Another default.' >> /tmp/new/etc/watchword/watchword.toml
    dpkg-deb -Znone -b /tmp/new /tmp/new.deb > /dev/null
    cp $config /tmp/before.toml
    dpkg --force-confold -i /tmp/new.deb
    [ "$(dpkg-query -W -f '${Version}' watchword)" = 99.0-1 ]
    cmp $config /tmp/before.toml
    [ "$(systemctl is-enabled watchword)" = enabled ]
    alive
    property MainPID > $pid
    [ "$(cat $pid)" != "$before" ]
    analysing
}
removes() {
    dpkg -r watchword
    [ ! -e "/proc/$(cat $pid)" ]
    [ ! -e /usr/bin/watchword ]
    [ -e $config ]
    [ -d /var/lib/watchword/pack ]
}
purges() {
    dpkg -P watchword
    [ ! -e /etc/watchword ]
    [ ! -e /var/lib/watchword ]
    [ -z "$(find /etc/systemd /lib/systemd /usr/lib/udev/rules.d -name '*watchword*')" ]
    getent passwd watchword
}

check "the package installs, and starts nothing" installs
check "the unit confines it" confined
check "start returns once a frame is analysed" starts
check "reload" reloads
check "a camera that opens and gives nothing yet is waited for" waits_for_a_frame
check "a camera that is away is no reason to restart" away
check "nor one that is off duty" off_duty
check "an analysis that is stuck is ended and started again" wedged
check "without a camera it starts all the same" no_camera
check "what cannot start is not tried for ever" storm
check "a secret comes as a credential" credential
check "an upgrade keeps the configuration and restarts the service" upgrades
check "removing keeps configuration and state" removes
check "purging leaves nothing but the user" purges
