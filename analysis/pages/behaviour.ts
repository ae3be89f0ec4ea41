/**
 * What the inspect page can do: the time on another network, nodes found and sorted. One script, named by its hash in
 * the page's policy; it reads numbers that the page carries and loads nothing. Without it the page says the same.
 */
import type { CostReport } from "../cost.js";
import { element, escapeHtml } from "./element.js";
import { SORT_SCRIPT } from "./report/style.js";

export const SCRIPT = `${SORT_SCRIPT}
(() => {
  const byId = (id) => document.getElementById(id);
  const shown = (seconds) => (seconds < 1 ? Math.round(seconds * 1000) + " ms" : seconds.toFixed(2) + " s");
  const [network, kind, bandwidth, delay] = ["network", "kind", "bandwidth", "delay"].map(byId);
  const { rounds, bits, compute } = network.dataset;
  const recompute = () => {
    const [mbps, ms] = [Number(bandwidth.value), Number(delay.value)];
    const seconds = rounds * (ms / 2e3 + 1e-4) + bits / (mbps * 1e6) + Number(compute);
    byId("time").textContent = mbps > 0 && ms >= 0 ? shown(seconds) : "–";
    byId("on").textContent = kind.value === "" ? mbps + " Mbit/s, " + ms + " ms" : kind.selectedOptions[0].textContent;
  };
  kind.addEventListener("change", () => {
    if (kind.value !== "") [bandwidth.value, delay.value] = kind.value.split(",");
    recompute();
  });
  for (const field of [bandwidth, delay]) {
    field.addEventListener("input", () => {
      kind.value = "";
      recompute();
    });
  }
  network.hidden = false;
  const [find, nodes] = ["find", "nodes"].map(byId);
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(" ");
    for (const row of nodes.tBodies[0].rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
  });
  find.hidden = false;
})();
`;

/** Mbit/s and milliseconds of the networks that have a name; none is one that is typed in. */
const KINDS = [["", "another"], ["5000,1", "lan"], ["400,40", "wan"]] as const; // biome-ignore format: one line

/** The time on lan, wan or a network that is typed in. */
export function networkSwitch({ cost }: CostReport, { bandwidth, roundTrip }: Line): string {
  const { rounds, seconds } = cost;
  const numbers = {
    "data-rounds": rounds,
    "data-bits": seconds.parts.transfer * bandwidth,
    "data-compute": seconds.parts.compute,
  };
  const option = (value: string, name: string) => element("option", { value }, name);
  const field = (id: string, value: number, unit: string) =>
    element("label", {}, element("input", { id, type: "number", min: 0, step: "any", value }), ` ${unit}`);
  return element(
    "p",
    { id: "network", class: "controls", hidden: "", ...numbers },
    "Time on ",
    element("select", { id: "kind", "aria-label": "network" }, ...KINDS.map(([value, name]) => option(value, name))),
    field("bandwidth", bandwidth / 1e6, "Mbit/s"),
    field("delay", roundTrip * 1e3, "ms there and back"),
  );
}

interface Line {
  /** Bits per second. */
  readonly bandwidth: number;
  /** Seconds. */
  readonly roundTrip: number;
}

const COLUMNS = ["node", "op", "layer", "rounds", "online", "offline", "total"];

/** Every node of the model that costs something: found by words, sorted by a click on a column. */
export function nodeTable({ nodes }: CostReport): string {
  const head = COLUMNS.map((name) => element("th", {}, element("button", {}, name)));
  const rows = nodes
    .filter(({ bytes, rounds }) => bytes.total > 0 || rounds > 0)
    .map(({ name, op, layer, rounds, bytes }) => {
      const words = [name, op, layer].map((text) => element("td", { class: "name", "data-v": text }, escapeHtml(text)));
      const numbers = [rounds, bytes.online, bytes.offline, bytes.total].map((value) =>
        element("td", { "data-v": value }, value.toLocaleString("en")),
      );
      return element("tr", {}, ...words, ...numbers);
    });
  const find = { id: "find", type: "search", hidden: "", placeholder: "find nodes, ops, layers", "aria-label": "find" };
  const body = [element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)];
  const table = element("table", { id: "nodes", class: "sortable" }, ...body);
  return element("p", { class: "controls" }, element("input", find)) + element("div", { class: "scroll" }, table);
}
