# A camera of JPEGs, some of them cut short.

corrupted_beyond() { [ "$(stat .cameras.gate.corrupted_frames)" -gt "$1" ]; }

# What it sends in turn from now on.
send() {
    ln -sfn "$1.jpg" /run/odd.jpg
    ln -sfn "$2.jpg" /run/even.jpg
}

watched() {
    cp demo.jpg /run/whole.jpg
    head -c 20000 demo.jpg > /run/cut.jpg
    send whole whole
    listen
    camera mjpeg 640 480 /run/odd.jpg /run/even.jpg
    configure
    start
    said 'MJPG 640x480'
    online
    analysing
}
truncated() {
    mark
    send whole cut
    until_true 60 corrupted_beyond 5
    said 'damaged JPEG'
    never 'gate/availability'
    analysing
}
# Nothing but damaged frames is no picture.
only_truncated() {
    mark
    send cut cut
    said 'camera lost.*video0.*damaged'
    offline
    send whole whole
    online
    analysing
}
# The camera's program ends and is started again.
unfed() {
    mark
    kill "$(cat /run/camera.feeder)"
    offline
    camera mjpeg 640 480 /run/odd.jpg /run/even.jpg
    online
    analysing
}

check "JPEGs are analysed" watched
check "cut JPEGs are passed over and counted" truncated
check "nothing but cut JPEGs is a camera lost" only_truncated
check "its driver is loaded anew" unfed
