/* The time on another network, by inspect's own formula, for every plan on the page. */
(() => {
  const byId = (id) => document.getElementById(id);
  const shown = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(2)} s`);
  const [network, kind, bandwidth, delay] = ["network", "kind", "bandwidth", "delay"].map(byId);
  const recompute = () => {
    const [mbps, ms] = [Number(bandwidth.value), Number(delay.value)];
    for (const time of document.querySelectorAll("[data-bits]")) {
      const { rounds, bits, compute } = time.dataset;
      const seconds = rounds * (ms / 2e3 + 1e-4) + bits / (mbps * 1e6) + Number(compute);
      time.textContent = mbps > 0 && ms >= 0 ? shown(seconds) : "–";
    }
    const typed = `${mbps} Mbit/s, ${ms} ms`;
    byId("on").textContent = kind.value === "" ? typed : kind.selectedOptions[0].textContent;
  };
  kind.addEventListener("change", () => {
    if (kind.value !== "") [bandwidth.value, delay.value] = kind.value.split(",");
    recompute();
  });
  for (const field of [bandwidth, delay]) {
    field.addEventListener("input", () => {
      kind.value = [...kind.options].find(({ value }) => value === `${bandwidth.value},${delay.value}`)?.value ?? "";
      recompute();
    });
  }
  network.hidden = false;
})();
