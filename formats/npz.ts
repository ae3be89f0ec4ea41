/**
 * NumPy's `.npz`: a zip archive of `.npy` files, stored or deflated. Sizes come from the archive's directory; archives
 * of 4 GiB and more (zip64) are refused.
 */
import { inflateRawSync } from "node:zlib";

const DIRECTORY_END = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
/** The longest comment that may follow the end of the directory. */
const LONGEST_COMMENT = 0xffff;
const ZIP64 = 0xffffffff;

/** The archive's files by name, without the ending `.npy`; throws where it is no such archive. */
export function readNpz(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = directoryEnd(file);
  const entries = file.readUInt16LE(end + 10);
  const files = new Map<string, Uint8Array>();
  let at = file.readUInt32LE(end + 16);
  for (let i = 0; i < entries; i++) {
    if (file.readUInt32LE(at) !== DIRECTORY_ENTRY) {
      throw new Error("the archive's directory is damaged");
    }
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((place) => file.readUInt16LE(at + place));
    const name = file.toString("utf8", at + ENTRY_BYTES, at + ENTRY_BYTES + nameLength);
    files.set(name.replace(/\.npy$/, ""), contentOf(file, at));
    at += ENTRY_BYTES + nameLength + extraLength + commentLength;
  }
  return files;
}

function directoryEnd(file: Buffer): number {
  const first = Math.max(0, file.length - END_BYTES - LONGEST_COMMENT);
  for (let at = file.length - END_BYTES; at >= first; at--) {
    if (file.readUInt32LE(at) === DIRECTORY_END) {
      return at;
    }
  }
  throw new Error("not a zip archive, or its end is missing");
}

function contentOf(file: Buffer, entry: number): Uint8Array {
  const method = file.readUInt16LE(entry + 10);
  const [packed, unpacked, local] = [20, 24, 42].map((place) => file.readUInt32LE(entry + place));
  if (packed === ZIP64 || unpacked === ZIP64 || local === ZIP64) {
    throw new Error("archives of 4 GiB and more are not read");
  }
  const start = local + LOCAL_BYTES + file.readUInt16LE(local + 26) + file.readUInt16LE(local + 28);
  const body = file.subarray(start, start + packed);
  if (method !== 0 && method !== 8) {
    throw new Error(`compression method ${method} is not read`);
  }
  const content = method === 0 ? body : inflateRawSync(body, { maxOutputLength: Math.max(1, unpacked) });
  if (content.length !== unpacked) {
    throw new Error("a file of the archive is truncated");
  }
  return content;
}
