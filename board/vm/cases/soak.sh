# Thirty faults in an order that looks random and is always the same; then the daemon holds as much as before.

faults=(inject_fatal_streaming_error inject_vidioc_qbuf_error inject_v4l2_buf_flag_error disconnect
    percentage_of_dropped_buffers=50 percentage_of_dropped_buffers=0 replug)
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$(cat $pid)/status"; }

soaked() {
    local files memory round fault
    camera vivid 320 180 15
    listen
    configure 'size = [320, 180]'
    start
    online
    analysing
    files=$(descriptors)
    RANDOM=4
    for round in $(seq 30); do
        if [ "$round" = 6 ]; then memory=$(resident); fi # buffers have grown
        fault=${faults[RANDOM % ${#faults[@]}]}
        if [ "$fault" = replug ]; then
            camera unplug
            camera plug > /dev/null
        else
            camera fault "$fault"
        fi
        analysing
    done
    camera fault percentage_of_dropped_buffers=0
    analysing
    echo "descriptors $files, then $(descriptors); KiB $memory, then $(resident); opened again $(stat .cameras.gate.reopened) times"
    [ "$(descriptors)" -le "$files" ]
    [ "$(resident)" -le $((memory + 8192)) ]
}

check "thirty faults leave nothing behind" soaked
