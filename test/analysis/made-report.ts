/** Accuracy reports that are made up: nodes with an error each, bad beyond the tolerance. */
import type { AccuracyReport, NodeReport } from "../../analysis/report/types.js";

const TOLERANCE = 0.02;

export function madeReport(
  made: readonly { readonly name: string; readonly op?: string; readonly error: number }[],
): AccuracyReport {
  const nodes = made.map(({ name, op = "gelu", error }, i): NodeReport => {
    const errors = (maximum: number) => ({ maximum, mean: maximum / 5 });
    const roles = errors(error);
    return {
      ...{ name, op, layer: `encoder.${Math.floor(i / 8)}`, shape: [2], ring: 40, fraction: 13, largest: 2 },
      error: { fixed: errors(1e-4), roles, drift: roles, own: errors(error / 10) },
      headroom: error > TOLERANCE ? -0.5 : 3,
      saturations: { range: error > TOLERANCE ? 1 : 0, window: 0 },
      samples: [
        [1, 1],
        [2, 2 + error],
      ],
      bad: error > TOLERANCE,
    };
  });
  const node = nodes.findIndex(({ bad }) => bad);
  const finding = { node, what: "values are outside", why: "they reach 3", fix: "calibrate" };
  const { error } = nodes[nodes.length - 1];
  return {
    schema: "pumac.report/1",
    plan: { digest: "00".repeat(32), model: "a & b", profile: "fourier", shapes: { x: [2] } },
    tolerance: TOLERANCE,
    outputs: [{ name: "y", shape: [2], error: { fixed: error.fixed, roles: error.roles } }],
    nodes,
    notCompared: 1,
    first: node < 0 ? null : { ...finding, name: nodes[node].name },
  };
}
