#!/bin/sh
# Makes the demo's clip again: 15 s of vtest.avi of the Debian package `opencv-doc`, as MJPEG in AVI.
#
#     demo_clip.sh /usr/share/doc/opencv-doc/examples/data/vtest.avi ../src/cmd/demo/clip.avi
#
# Seconds 52 to 67, the lower middle of the picture: two people walk on the lawn, one of them goes back to the road,
# others stay on the road.
set -eu
ffmpeg -v error -y -ss 52 -t 15 -i "$1" -an -vf crop=640:480:32:96 -c:v mjpeg -huffman default -pix_fmt yuvj420p -q:v 8 \
    -map_metadata -1 -fflags +bitexact -flags:v +bitexact "$2"
