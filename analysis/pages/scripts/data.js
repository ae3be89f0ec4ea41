/* What the page carries for its pictures, and how sizes are written: as everywhere else in pumac. */
const PAGE = JSON.parse(document.getElementById("data")?.textContent ?? "{}");
PAGE.size = (bytes) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return step === 0 ? `${bytes} B` : `${(bytes / 1000 ** step).toFixed(2)} ${units[step]}`;
};
