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
