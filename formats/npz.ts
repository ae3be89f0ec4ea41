/** NumPy's `.npz`: a zip archive of `.npy` files, read by fflate. */
import { unzipSync } from "fflate";

/** The archive's files by name, without the ending `.npy`; throws where it is no such archive. */
export function readNpz(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const sizes = new Map<string, number>();
  const files = unzipSync(bytes, {
    filter: ({ name, originalSize }) => {
      sizes.set(name, originalSize);
      return true;
    },
  });
  return new Map(
    Object.entries(files).map(([name, content]) => {
      if (content.length !== sizes.get(name)) {
        throw new Error(`'${name}' has ${content.length} bytes, the archive's directory says ${sizes.get(name)}`);
      }
      return [name.replace(/\.npy$/, ""), content];
    }),
  );
}
