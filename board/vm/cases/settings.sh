# What the configuration asks of a camera: size, rate, format and controls; and what `watchword doctor camera` tells.

stable=/dev/v4l/by-path/platform-vivid.0-video-index0

# Anew, with a fresh camera and these settings of it.
run_with() {
    if [ -e $pid ] && alive; then stop; fi
    camera vivid 640 480 25
    configure "$1"
    start
}
control_is() { [ "$(v4l2-ctl -C "$1" | sed 's/^.*: //; s/ (.*//')" = "$2" ]; }
# Where vivid's bars are bright: on the left, unless something turned them.
bright_left() { heard '"box":\[0\.0,0\.0,0\.5,0\.5\]'; }
bright_right() { heard '"box":\[0\.5,0\.0,1\.0,0\.5\]'; }

doctor_lists() {
    cp watchword /tmp
    camera vivid 640 480 25
    /tmp/watchword doctor camera > /tmp/out
    grep -q '/dev/video0.*vivid' /tmp/out
    grep -q $stable /tmp/out
}
doctor_measures() {
    /tmp/watchword doctor camera $stable --save /tmp/seen.jpg > /tmp/out
    sed '/^Capture/,$!d' /tmp/out
    grep -q '640x480 at 25, 15' /tmp/out
    grep -q 'power_line_frequency\|brightness .*0 to 255; default 128' /tmp/out
    grep -q '^  100 frames in .* jitter' /tmp/out
    grep -q "^  timestamps: the driver's.*monotonic" /tmp/out
    [ "$(head -c 2 /tmp/seen.jpg | od -An -tx1)" = ' ff d8' ]
}
size_and_rate() {
    listen
    run_with 'size = [1280, 720]
fps = 5'
    said 'camera opened.* 1280x720, 5.000 frames/s'
    said 'taken=.*1280x720.*other=.*640x480'
    online
    analysing
    bright_left
}
format() {
    run_with 'size = [320, 180]
format = "UYVY"'
    said 'camera opened.* UYVY 320x180'
    analysing
}
no_such_size() {
    run_with 'size = [321, 180]'
    said 'camera lost.*321x180.* not offered; the device offers .*320x180 at 60/s'
    heard '"status":"lost"'
    alive
}
controls() {
    run_with 'controls = { brightness = 120, horizontal_flip = true, menu = "Menu Item 4" }'
    online
    bright_right
    control_is brightness 120
    control_is menu 4
}
# Whoever changed them meanwhile, and whatever the driver forgot.
controls_again() {
    v4l2-ctl -c brightness=7
    mark
    camera fault inject_fatal_streaming_error
    offline
    online
    control_is brightness 120
    mark
    camera unplug
    offline
    camera plug
    online
    control_is brightness 120
}
controls_refused() {
    run_with 'controls = { brightnes = 1, contrast = 256, menu = "Menu Item 2", hue = 5 }'
    said 'brightnes.*brightness'
    said 'contrast.*0 to 255'
    said 'menu.*Menu Item 1.*Menu Item 3'
    online
    control_is hue 5
}

turned() {
    run_with 'size = [320, 180]
rotate = 180'
    online
    bright_right
    never '"box":\[0\.0,0\.0,0\.5,0\.5\]'
}
masked() {
    run_with 'size = [320, 180]
mask = [{ name = "corner", polygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]] }]'
    online
    heard '"box":\[0\.0,0\.5,0\.5,1\.0\]'
    never '"box":\[0\.0,0\.0,0\.5,0\.5\]'
}
# The clock, and what a case's time is counted by: the machine's is put right again when the case is over.
set_clock() { date -s "$1" > /dev/null; }
uptime_seconds() { cut -d . -f 1 /proc/uptime; }
held() { ls -l "/proc/$(cat $pid)/fd" | grep -q '/dev/video0'; }
released() { ! held; }
# A Wednesday, 5 h 45 min ahead of the machine's own zone. The hours come and go by themselves, and with a clock that
# jumps, as that of a box without a battery does when the network tells it the time.
scheduled() {
    # Not local: the trap comes after this function.
    booted=$(($(date +%s) - $(uptime_seconds)))
    trap 'set_clock "@$((booted + $(uptime_seconds)))"' EXIT
    stop
    set_clock '2026-06-03 00:30Z' # 06:15 there
    camera vivid 320 180 15
    configure 'schedule = ["wed 08:00-09:00"]'
    sed -i 's|^name = "guest"|&\ntime_zone = "Asia/Kathmandu"|; s|^phrases.*|&\nthreshold = 0.11|' $config
    start
    said 'camera not watched.*scheduled off'
    heard '"status":"scheduled off"'
    offline
    released
    mark
    set_clock '2026-06-03 02:14:50Z'
    online
    analysing
    held
    heard '"type":"begin"'
    [ "$(date -u +%H%M)" -ge 0215 ]
    mark
    set_clock '2026-06-03 03:14:50Z'
    offline
    heard '"type":"end".*"reason":"scheduled"'
    until_true 20 released
    [ "$(date -u +%H%M)" -ge 0315 ]
    mark
    set_clock '2026-06-03 03:00Z'
    online
    analysing
}

check "doctor lists cameras by the name that stays" doctor_lists
check "doctor measures 100 frames and shows the last" doctor_measures
check "size and rate" size_and_rate
check "a format by name" format
check "a size that is not offered is refused with those that are" no_such_size
check "controls are set" controls
check "controls are set again whenever the camera is opened" controls_again
check "controls that cannot be set are named, with what can" controls_refused
check "a picture is turned" turned
check "what is masked is not seen" masked
check "outside its hours a camera is given back" scheduled
