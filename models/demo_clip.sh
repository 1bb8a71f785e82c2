#!/bin/sh
# Makes the demo's clip again: 15 s of vtest.avi of the Debian package `opencv-doc`, as MJPEG in AVI.
#
#     demo_clip.sh /usr/share/doc/opencv-doc/examples/data/vtest.avi ../src/cmd/demo/clip.avi
#
# Seconds 52 to 67 of the original: people walk on the lawn and on the road, as near to the camera as they ever come.
set -eu
ffmpeg -v error -y -ss 52 -t 15 -i "$1" -an -c:v mjpeg -huffman default -pix_fmt yuvj420p -q:v "${QUALITY:-6}" -map_metadata -1 -fflags +bitexact -flags:v +bitexact "$2"
