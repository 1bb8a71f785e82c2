# Opening a camera again and again leaves nothing behind.

two_hundred() {
    "$@"
    WATCHWORD_TEST_DEVICE=/dev/video0 ./device --ignored --exact --nocapture two_hundred_openings_leave_nothing_open
}

check "200 openings, single-planar" two_hundred camera vivid 320 180 15
check "200 openings, multi-planar" two_hundred env PLANES=multi camera vivid 320 180 15
