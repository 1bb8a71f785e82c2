# The picture is right in every format that vivid has, whatever the planes' layout, size and colour space.

all="YUYV UYVY NV12 NV21 NV16 YU12 RGB3 BGR3 GREY"

# One of tests/device.rs, WATCHWORD_TEST_.. in the environment.
device() { WATCHWORD_TEST_DEVICE=/dev/video0 ./device --ignored --exact --nocapture "$1"; }
bars() { WATCHWORD_TEST_FORMATS=${1:-$all} device colour_bars_look_the_same_in_every_format; }

single() {
    camera vivid 640 480 25
    bars
}
multi() {
    PLANES=multi camera vivid 640 480 25
    bars
}
# Sizes that no block of pixels divides; vivid itself cuts the colours of YU12 short at 318.
odd() {
    INPUT=hdmi camera vivid 318 182
    bars "YUYV UYVY NV12 NV21 NV16 RGB3 BGR3 GREY"
    INPUT=hdmi camera vivid 316 182 25 YU12
    bars YU12
}
colours() { # CONTROL=VALUE...
    camera vivid 320 180 15
    for setting in "$@"; do camera fault "$setting"; done
    bars "YUYV NV12 NV16 RGB3"
}
in_order() {
    camera vivid 640 480 25
    device frames_come_in_order_and_are_dated_by_when_they_were_captured
}

check "single-planar" single
check "multi-planar" multi
check "odd sizes" odd
check "BT.709" colours colorspace=1
check "sRGB encoded as in BT.709" colours y_cbcr_encoding=2
check "full range" colours quantization=1
check "frames are in order and dated" in_order
