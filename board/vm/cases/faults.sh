# A camera fails in every way that vivid can: the daemon lives, says what happened, counts it, and sees again.

# Small, so that no frame takes an emulated machine longer than the shortest outage.
size='size = [320, 180]'
stable=/dev/v4l/by-path/platform-vivid.0-video-index0

# The log names the error, subscribers are told, and it passes.
lost_and_back() { # REGEX
    said "camera lost.*$1"
    offline
    online
    analysing
}
corrupted_beyond() { [ "$(stat .cameras.gate.corrupted_frames)" -gt "$1" ]; }

starts() {
    camera vivid 320 180 15
    listen
    configure "$size"
    start
    online
    analysing
}
fatal() {
    local before
    before=$(stat .cameras.gate.reopened)
    mark
    camera fault inject_fatal_streaming_error
    lost_and_back video0
    [ "$(stat .cameras.gate.reopened)" -gt "$before" ]
    [ "$(stat .cameras.gate.last_error)" != null ]
}
# The next two are met when the camera is opened again.
streamon() {
    mark
    camera fault inject_vidioc_streamon_error
    camera fault inject_fatal_streaming_error
    said 'camera lost.*(start|STREAMON)'
    lost_and_back video0
}
reqbufs() {
    mark
    camera fault inject_vidioc_reqbufs_error
    camera fault inject_fatal_streaming_error
    said 'camera lost.*(buffers|REQBUFS)'
    lost_and_back video0
}
qbuf() {
    mark
    camera fault inject_vidioc_qbuf_error
    analysing
}
flagged() {
    local before
    before=$(stat .cameras.gate.corrupted_frames)
    mark
    camera fault inject_v4l2_buf_flag_error
    until_true 20 corrupted_beyond "$before"
    never 'gate/availability'
    analysing
}
gaps() {
    mark
    camera fault percentage_of_dropped_buffers=50
    trap 'camera fault percentage_of_dropped_buffers=0' EXIT
    heard '"missed_frames":[1-9]'
    camera fault percentage_of_dropped_buffers=0
    never 'gate/availability'
    analysing
}
silence() {
    local before used lines
    mark
    camera fault percentage_of_dropped_buffers=100
    trap 'camera fault percentage_of_dropped_buffers=0' EXIT
    said 'camera lost.*no frame for 3'
    offline
    before=$(ticks)
    sleep 20
    used=$(($(ticks) - before))
    lines=$(since log $log | grep -c 'camera lost')
    echo "in 20 s without a frame: $used hundredths of a second of the processor, lost $lines times"
    [ $used -lt 400 ]
    [ "$lines" -lt 8 ]
    camera fault percentage_of_dropped_buffers=0
    online
    analysing
}
disconnect() {
    mark
    camera fault disconnect
    lost_and_back video0
}
unplug() {
    local before used lines
    mark
    camera unplug
    said 'camera lost.*video0'
    offline
    before=$(ticks)
    sleep 20
    used=$(($(ticks) - before))
    lines=$(since log $log | grep -c 'camera lost')
    echo "in 20 s without a device: $used hundredths of a second of the processor, lost $lines times"
    [ $used -lt 400 ]
    [ "$lines" -lt 8 ]
    camera plug
    online
    analysing
}
renumbered() {
    stop
    configure "$size" "$stable"
    start
    online
    mark
    camera unplug
    offline
    # Something else takes its number.
    modprobe v4l2loopback devices=1 video_nr=0
    camera plug
    until_true 20 test -e $stable
    [ "$(readlink -f $stable)" != /dev/video0 ]
    online
    analysing
    modprobe -r v4l2loopback
}

# Set when a stream begins; the count comes to its end after 128 frames.
wraps() { # CONTROL=VALUE
    local missed now seen
    mark
    camera fault "$1"
    camera fault inject_fatal_streaming_error
    lost_and_back video0
    missed=$(stat .cameras.gate.missed_frames)
    mark
    sleep 15
    never 'gate/availability'
    analysing
    echo "missed before and after: $missed $(stat .cameras.gate.missed_frames)"
    [ "$(stat .cameras.gate.missed_frames)" -lt $((missed + 200)) ]
    # Frames are dated, whatever the driver's clock says.
    now=$(date +%s)
    seen=$(date +%s -d "$(grep 'gate/detections ' $mqtt | tail -n 1 | cut -d ' ' -f 2- | jq -r .time)")
    [ $((now - seen)) -le 5 ]
    [ $((seen - now)) -le 1 ]
}
sequence_wraps() { wraps wrap_sequence_number=1; }
time_wraps() {
    wraps wrap_timestamp=1
    wraps wrap_timestamp=2
}
# Another picture comes in, as when somebody changes what is plugged into a capture card.
changed() {
    stop
    INPUT=hdmi camera vivid 320 180
    start
    online
    mark
    camera fault dv_timings_signal_mode=1
    lost_and_back 'video0.*chang'
}
# The device comes back with other pictures than it left with.
resized() {
    stop
    configure
    start
    online
    mark
    camera unplug
    offline
    camera plug
    said 'camera opened.*(640x360|1280x720)' # what a webcam, or an HDMI input, begins with
    online
    analysing
}

check "a camera is watched" starts
check "a fatal error while streaming (EIO)" fatal
check "STREAMON refused" streamon
check "REQBUFS refused" reqbufs
check "a buffer that cannot be queued" qbuf
check "a buffer flagged as damaged is passed over and counted" flagged
check "frames that never came are counted" gaps
check "silence" silence
check "disconnected and back" disconnect
check "unplugged for 20 s and plugged in" unplug
check "the driver's count wraps around" sequence_wraps
check "the driver's clock wraps around" time_wraps
check "the pictures change under us" changed
check "it comes back with pictures of another size" resized
check "comes back under another number" renumbered
