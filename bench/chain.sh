#!/bin/sh
# What a user chains by hand: frames with ffmpeg, crops with yolo, cut-outs with rembg.
#   chain.sh CLIPS OUT WEIGHTS FFMPEG YOLO REMBG FPS QUALITY IMGSZ CONF IOU
# REMBG may be "none": then the chain ends at the crops.
set -eu
clips=$1 out=$2 weights=$3 ffmpeg=$4 yolo=$5 rembg=$6 fps=$7 quality=$8
shift 8
mkdir -p "$out/frames" "$out/masks"
for clip in "$clips"/*; do
  name=$(basename "$clip")
  "$ffmpeg" -nostdin -v error -y -i "$clip" -vf "fps=$fps,mpdecimate" -fps_mode vfr \
    -c:v libwebp -quality "$quality" "$out/frames/$name-%06d.webp"
done
"$yolo" predict "model=$weights" "source=$out/frames" save_crop=True classes=0 "imgsz=$1" \
  "conf=$2" "iou=$3" device=cpu "project=$out" name=predict exist_ok=True verbose=False
if [ "$rembg" != none ]; then
  "$rembg" p -m isnet-general-use "$out"/predict/crops/* "$out/masks"
fi
