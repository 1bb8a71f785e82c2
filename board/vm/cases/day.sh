# Many frames as fast as three cameras give them, with everything that a day brings, many times over: a camera breaks, words
# change, a broker restarts. The daemon then holds as much as before. WATCHWORD_VM_FRAMES: how many frames; without it
# 9000, half an hour of a camera that is analysed five times a second.

frames=${WATCHWORD_VM_FRAMES:-9000} cameras=(gate yard dock)
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$(cat $pid)/status"; }
threads() { ls "/proc/$(cat $pid)/task" | wc -l; }
# Frames analysed up to now, from each second's statistics.
analysed() { grep '^watchword/guest/stats ' $mqtt | cut -d ' ' -f 2- | jq -s '[.[].cameras[].analysed_fps] | add // 0 | floor'; }
events() { grep -c '^watchword/guest/events ' $mqtt; }

settings() { # PHRASE
    configure 'size = [320, 180]'
    for number in 1 2; do
        printf '[[camera]]\nname = "%s"\nsource = "/dev/video%s"\nsize = [320, 180]\nstall_timeout = "3s"\n' \
            ${cameras[number]} $number >> $config
    done
    sed -i "s/a person walking/$1/; s/^analysis_fps.*//; s/^detections.*//" $config
}
holds() { echo "$(descriptors) descriptors, $(threads) threads, $(resident) KiB"; }

day() {
    local files memory count=0 round=0
    CAMERAS=${#cameras[@]} camera vivid 320 180 60
    # As under systemd: events that wait and the timeline are on disk.
    mkdir -p /tmp/state && export STATE_DIRECTORY=/tmp/state
    listen
    settings 'a person walking'
    start
    online
    heard '"analysed_fps":[0-9.]*[1-9]'
    while [ "$count" -lt "$frames" ]; do
        round=$((round + 1))
        case $((round % 4)) in
        0) CAMERA=$((round / 4 % ${#cameras[@]})) camera fault inject_fatal_streaming_error ;;
        1) settings "a person walking the dog number $round" ;;
        2) kill -HUP "$(cat $pid)" ;;
        3) pkill -x mosquitto && sleep 3 && mosquitto -c /dev/null -d > /dev/null 2>&1 ;;
        esac
        sleep 10
        alive
        count=$(analysed)
        # A tenth of the way: buffers and pools have grown.
        if [ -z "${files:-}" ] && [ $((count * 10)) -ge "$frames" ]; then
            files=$(descriptors) memory=$(resident)
            echo "after $count frames: $(holds)" | tee -a /share/day.log
        fi
        if [ $((round % 20)) = 0 ]; then echo "after $count frames, $(events) events: $(holds)" >> /share/day.log; fi
    done
    sleep 10
    echo "after $(analysed) frames, $(events) events, $round disturbances: $(holds)" | tee -a /share/day.log
    [ "$(descriptors)" -le $((files + 1)) ]
    [ "$(resident)" -le $((memory + 8192)) ]
}

check "$frames frames" day
cat /tmp/case.log
