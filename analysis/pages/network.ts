/** The network switch: the time of every plan of a page on lan, wan, or what is typed in (`scripts/network.js`). */
import type { Network } from "../../compiler/network.js";
import type { CostReport } from "../cost.js";
import { formatSeconds } from "../units.js";
import { element } from "./element.js";

/** Mbit/s and milliseconds of the networks that have a name; none is one that is typed in. */
const KINDS: readonly (readonly [value: string, name: string])[] = [
  ["", "another"],
  ["5000,1", "lan"],
  ["400,40", "wan"],
];

export function networkSwitch({ bandwidth, roundTrip }: Network): string {
  const option = ([value, name]: readonly [string, string]): string => {
    const isThis = value === `${bandwidth / 1e6},${roundTrip * 1e3}`;
    return element("option", { value, ...(isThis && { selected: "" }) }, name);
  };
  const field = (id: string, value: number, unit: string): string =>
    element("label", {}, element("input", { id, type: "number", min: 0, step: "any", value }), ` ${unit}`);
  return element(
    "p",
    { id: "network", class: "controls", hidden: "" },
    "Time on ",
    element("select", { id: "kind", "aria-label": "network" }, ...KINDS.map(option)),
    field("bandwidth", bandwidth / 1e6, "Mbit/s"),
    field("delay", roundTrip * 1e3, "ms there and back"),
  );
}

/** A plan's time, which the switch computes anew. */
export function timeOn({ cost: { rounds, seconds } }: CostReport, { bandwidth }: Network): string {
  const numbers = {
    "data-rounds": rounds,
    "data-bits": seconds.parts.transfer * bandwidth,
    "data-compute": seconds.parts.compute,
  };
  return element("b", numbers, formatSeconds(seconds.estimate));
}
