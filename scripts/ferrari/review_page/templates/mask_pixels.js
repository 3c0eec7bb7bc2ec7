// Pictures as pixels, and a mask as the PNG that the table names: grey, of 8 bits.
async function pixelsOf(address) {
  const answer = await fetch(address);
  if (!answer.ok) { throw new Error(`${answer.status}`); }
  return pixelsIn(await answer.blob());
}

async function pixelsIn(blob) {
  const picture = await createImageBitmap(blob);
  const pen = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  pen.drawImage(picture, 0, 0);
  return pen.getImageData(0, 0, picture.width, picture.height);
}

async function greyPng(grey, width, height) {
  const lines = new Uint8Array(height * (width + 1));  // each line begins with its filter: none
  for (let y = 0; y < height; y += 1) { lines.set(grey.subarray(y * width, (y + 1) * width), y * (width + 1) + 1); }
  const packed = new Response(new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate")));
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 8);  // bits; colour type 0 and the rest are zeros
  const parts = [pngPart("IHDR", new Uint8Array(head.buffer)), pngPart("IDAT", new Uint8Array(await packed.arrayBuffer())), pngPart("IEND", new Uint8Array())];
  return new Uint8Array(await new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]).arrayBuffer());
}

function pngPart(name, body) {
  const part = new Uint8Array(body.length + 12), view = new DataView(part.buffer);
  view.setUint32(0, body.length);
  part.set(new TextEncoder().encode(name), 4);
  part.set(body, 8);
  view.setUint32(body.length + 8, crc32(part.subarray(4, body.length + 8)));
  return part;
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) { crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0); }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) { text += String.fromCharCode(...bytes.subarray(at, at + 8192)); }
  return btoa(text);
}

function unbase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// The levels of a grey picture's pixels.
function levelsOf(pixels) {
  return new Uint8ClampedArray(pixels.width * pixels.height).map((_, place) => pixels.data[place * 4]);
}

// Lays the crop on `shown` (both ImageData), dark and grey where the mask `alpha` says it is not the subject.
function laid(pixels, alpha, shown, left = 0, top = 0, right = shown.width, bottom = shown.height) {
  const { width } = shown, from = pixels.data, to = shown.data;
  for (let y = top; y < bottom; y += 1) {
    for (let place = y * width + left; place < y * width + right; place += 1) {
      const share = alpha[place] / 255, at = place * 4;
      const dark = (from[at] + from[at + 1] + from[at + 2]) / 9 * (1 - share);
      for (let channel = 0; channel < 3; channel += 1) { to[at + channel] = from[at + channel] * share + dark; }
      to[at + 3] = 255;
    }
  }
}

// A canvas for a picture, of which `abreast` stand side by side: small ones are enlarged.
function sized(canvas, { width, height }, abreast) {
  Object.assign(canvas, { width, height });
  const times = Math.floor(Math.min(0.55 * innerHeight / height, Math.min(900, innerWidth - 90) / abreast / width, 5));
  if (times > 1) { canvas.style.width = `${times * width}px`; }
}
