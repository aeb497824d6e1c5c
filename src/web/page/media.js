/** Pictures, sound and films: what a file is by its bytes, how large a picture is, and where files come from and go to. */

/** Pictures that are fetched by themselves have at most so many bytes. */
const UNASKED = 2 * 1024 * 1024;
/** Pictures with more pixels are not decoded unless somebody asks for it. */
const PIXELS = 40_000_000;
/** A file that comes is handed to the browser in pieces of so many bytes, which it may keep on disk. */
const PIECE = 1024 * 1024;
/** So many bytes from the beginning tell what a file is, and how large a picture. */
const HEAD = 256 * 1024;
/** What is held of files together, in bytes. */
const HELD = 128 * 1024 * 1024;
/** Pixels of the longer side of a photo that is redrawn. */
const SIDE = 2_048;

/**
 * @typedef {"image" | "video" | "audio" | null} Show as what it is shown in the page, if at all
 * @typedef {{ type: string, show: Show }} Kind
 * @typedef {{ width: number, height: number }} Size in pixels, as it is shown
 * @typedef {{ blob: Blob, kind: Kind, size: Size | null, isHuge: boolean }} Fetched `isHuge`: not to be decoded unasked
 */

/** @param {Uint8Array} bytes @param {number} at @param {number} [length] */
const ascii = (bytes, at, length = 4) => String.fromCharCode(...bytes.subarray(at, at + length));

/** Each type by how its files begin, a byte a character; `.` is any. @type {[RegExp, string][]} */
const TABLE = [
  [/^\x89PNG\r\n.\n/s, "image/png"],
  [/^\xff\xd8\xff/, "image/jpeg"],
  [/^GIF8[79]a/, "image/gif"],
  [/^RIFF....WEBP/s, "image/webp"],
  // Brands of ISO 14496-12: the first, a number, and all that it is compatible with.
  [/^....ftyp(....)*?avi[fs]/s, "image/avif"],
  [/^....ftyp(....)*?(he[iv][cxms]|mif1|msf1)/s, "image/heic"],
  [/^....ftypqt {2}/s, "video/quicktime"],
  [/^....ftypM4[AB] /s, "audio/mp4"],
  [/^....ftyp(iso.|mp4.|avc1|M4V |MSNV|dash|3g..)/s, "video/mp4"],
  [/^.E\xdf\xa3.{1,40}webm/s, "video/webm"],
  // MPEG audio of layer III (ISO 11172-3, 2.4.2.3).
  [/^(ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb])/, "audio/mpeg"],
  [/^OggS/, "audio/ogg"],
  [/^RIFF....WAVE/s, "audio/wav"],
  [/^fLaC/, "audio/flac"],
];

/** What a file is, by how it begins and never by its name. All that is not in the table is only saved. @param {Uint8Array} bytes @returns {Kind} */
export function kind(bytes) {
  const brands = ascii(bytes, 4) === "ftyp" ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) : 64;
  const start = ascii(bytes, 0, Math.min(brands, 256));
  const type = TABLE.find(([beginning]) => beginning.test(start))?.[1] ?? "application/octet-stream";
  const show = /^(image|video|audio)(?!\/heic)/.exec(type)?.[1] ?? null;
  return { type, show: /** @type {Show} */ (show) };
}

/**
 * How large a picture is, from its header alone; null if that cannot be told.
 *
 * PNG: IHDR comes first, eXIf somewhere. JPEG: the frame header (ITU-T T.81, B.2.2), after segments of any length. WebP: RFC 9649,
 * 2.5 to 2.7. AVIF: the largest of its images (`ispe`, ISO 23008-12, 6.5.3).
 * @param {Uint8Array} bytes @returns {Size | null}
 */
export function pixels(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const size = measure(kind(bytes).type, bytes, view);
    return size && size.width > 0 && size.height > 0 ? size : null;
  } catch {
    // It ends before its header does.
    return null;
  }
}

/** @param {string} type @param {Uint8Array} bytes @param {DataView} view @returns {Size | null} */
function measure(type, bytes, view) {
  if (type === "image/png") return png(bytes, view);
  if (type === "image/gif") return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  if (type === "image/jpeg") return jpeg(bytes, view);
  if (type === "image/webp") {
    const chunk = ascii(bytes, 12);
    // Above the 14 bits of each stands how it might be scaled.
    if (chunk === "VP8 ")
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    if (chunk === "VP8X")
      return { width: (view.getUint32(23, true) >>> 8) + 1, height: (view.getUint32(26, true) >>> 8) + 1 };
    const bits = view.getUint32(21, true);
    return chunk === "VP8L" ? { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 } : null;
  }
  if (type !== "image/avif") return null;
  let [width, height, isTurned] = [0, 0, false];
  for (let at = bytes.indexOf(0x69); at >= 0; at = bytes.indexOf(0x69, at + 1)) {
    const box = ascii(bytes, at);
    if (box === "irot") isTurned = view.getUint8(at + 4) % 2 === 1;
    if (box === "ispe" && view.getUint32(at + 8) >= width)
      [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
  }
  return upright(width, height, isTurned);
}

/** @param {number} width @param {number} height @param {boolean} isTurned */
const upright = (width, height, isTurned) => (isTurned ? { width: height, height: width } : { width, height });

/** @param {Uint8Array} bytes @param {DataView} view */
function png(bytes, view) {
  let isTurned = false;
  for (let at = 8; at + 12 < bytes.length && ascii(bytes, at + 4) !== "IDAT"; at += 12 + view.getUint32(at)) {
    if (ascii(bytes, at + 4) === "eXIf") isTurned = isSideways(view, at + 8);
  }
  return upright(view.getUint32(16), view.getUint32(20), isTurned);
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Size | null} */
function jpeg(bytes, view) {
  let isTurned = false;
  for (let at = 2; ; ) {
    if (bytes[at] !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    // A marker may have any number of bytes to fill up before it, and these stand alone.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    // The picture itself begins, or is over.
    else if (marker === 0xd9 || marker === 0xda) return null;
    // Not among the frames: tables for Huffman and for arithmetic coding, and a reserved one.
    else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return upright(view.getUint16(at + 7), view.getUint16(at + 5), isTurned);
    } else {
      if (marker === 0xe1 && ascii(bytes, at + 4) === "Exif") isTurned ||= isSideways(view, at + 10);
      at += 2 + view.getUint16(at + 2);
    }
  }
}

/** Whether the tag `Orientation` of Exif (CIPA DC-008, 4.6.4), which is a TIFF file, turns a picture on its side. @param {DataView} view @param {number} start */
function isSideways(view, start) {
  const isLittle = view.getUint16(start) === 0x4949;
  const directory = start + view.getUint32(start + 4, isLittle);
  if (directory + 2 > view.byteLength) return false;
  for (
    let left = view.getUint16(directory, isLittle), at = directory + 2;
    left > 0 && at + 12 <= view.byteLength;
    left--, at += 12
  ) {
    if (view.getUint16(at, isLittle) === 0x0112) return view.getUint16(at + 8, isLittle) >= 5;
  }
  return false;
}

/** Whether a file is fetched without being asked for: its name says that it is a small picture. @param {{ name: string, size: number }} info @param {boolean} [saveData] */
export function isFetchedUnasked({ name, size }, saveData = /** @type {any} */ (navigator).connection?.saveData) {
  return size <= UNASKED && !saveData && /\.(png|jpe?g|gif|webp|avif)$/i.test(name);
}

/** Whether a file of so many bytes may be too much for this device: Safari on telephones ends pages that take more. @param {number} size */
export function isHeavy(size) {
  const { userAgent, maxTouchPoints } = navigator;
  return (
    size > 150_000_000 && (/iP(hone|ad|od)/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1))
  );
}

/** A sink that gathers a file; one of the two is called at its end. @param {(fetched: Fetched) => void} came @param {(text: string) => void} failed */
export function gather(came, failed) {
  /** @type {BlobPart[]} */
  let parts = [];
  /** @type {Blob[]} */
  const pieces = [];
  const head = new Uint8Array(HEAD);
  let [held, begun] = [0, 0];
  return {
    /** @param {Uint8Array} bytes */
    write(bytes) {
      const start = bytes.subarray(0, HEAD - begun);
      head.set(start, begun);
      begun += start.length;
      parts.push(/** @type {BlobPart} */ (bytes));
      held += bytes.length;
      if (held < PIECE) return;
      pieces.push(new Blob(parts));
      [parts, held] = [[], 0];
    },
    end() {
      const what = kind(head.subarray(0, begun));
      const size = pixels(head.subarray(0, begun));
      const isHuge = what.show === "image" && !(size && size.width * size.height <= PIXELS);
      came({ blob: new Blob([...pieces, ...parts], { type: what.type }), kind: what, size, isHuge });
    },
    failed,
  };
}

/** Files that are held to be shown, up to 128 MB; beyond that the one that was shown longest ago is let go. */
export class Blobs {
  /** @type {Map<string, { url: string, bytes: number }>} */
  #all = new Map();

  /** @param {(key: string) => void} gone told before its URL is void, so that a placeholder takes its place @param {number} [most] */
  constructor(gone, most = HELD) {
    this.gone = gone;
    this.most = most;
  }

  /** Holds it, and gives its URL. @param {string} key @param {Blob} blob */
  put(key, blob) {
    this.forget(key);
    const url = URL.createObjectURL(blob);
    this.#all.set(key, { url, bytes: blob.size });
    let sum = 0;
    for (const one of this.#all.values()) sum += one.bytes;
    for (const [old, { bytes }] of this.#all) {
      if (sum <= this.most || old === key) break;
      sum -= bytes;
      this.gone(old);
      this.forget(old);
    }
    return url;
  }

  /** The URL, if it is still held. @param {string} key */
  get(key) {
    const one = this.#all.get(key);
    if (!one) return null;
    this.#all.delete(key);
    this.#all.set(key, one);
    return one.url;
  }

  /** @param {string} key */
  forget(key) {
    const one = this.#all.get(key);
    if (one) URL.revokeObjectURL(one.url);
    this.#all.delete(key);
  }
}

/** A file or blob as an upload reads it. @param {File | Blob} file @param {string} [name] */
export function sourceOf(file, name = file instanceof File ? file.name : "file") {
  return {
    name,
    size: file.size,
    /** @param {number} offset @param {number} length */
    read: async (offset, length) => new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()),
  };
}

/**
 * A photo made smaller and without what it tells of place and camera; what is no photo as it is. It is an error if this browser
 * cannot read it, as it would go out with all that then.
 * @param {File} file
 */
export async function redraw(file) {
  const head = new Uint8Array(await file.slice(0, 256).arrayBuffer());
  const isMoving = ascii(head, 12) === "VP8X" && (head[20] & 2) > 0;
  if (!/jpeg|heic|webp/.test(kind(head).type) || isMoving) return file;
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  // JPEG knows no transparency.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
  if (!blob) throw new Error("no picture");
  return new File([blob], `${file.name.replace(/\.[^.]*$/, "")}.jpg`, { type: blob.type });
}

/** Has the browser save it under this name. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // Some browsers read it only after somebody has been asked where to.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
