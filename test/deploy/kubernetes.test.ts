/** Protects: the manifests are what Kubernetes and KEDA take, start parties with options that there are, and drain. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { manifests } from "./manifests.js";

const FOLDER = join(import.meta.dirname, "..", "..", "deploy", "kubernetes");
const files = manifests();

describe("deploy/kubernetes", () => {
  it.each([...files])("%s is what the generator writes, and valid", (name, { text, objects }) => {
    if (process.env.BLESS === "1") {
      writeFileSync(join(FOLDER, name), text);
    }
    expect(readFileSync(join(FOLDER, name), "utf8")).toBe(text);
    for (const object of objects) {
      expect(() => object.validate()).not.toThrow();
    }
  });

  it("has no other file", () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual([...files.keys()].toSorted());
  });

  it("scales what it starts, and lets it finish", () => {
    for (const party of ["p0", "p1", "p2"]) {
      const [service, pods] = parseAllDocuments(files.get(`party-${party}.yaml`)!.text).map((each) => each.toJSON());
      const [scaler] = parseAllDocuments(files.get(`scaler-${party}.yaml`)!.text).map((each) => each.toJSON());
      expect(scaler.spec.scaleTargetRef).toMatchObject({ kind: pods.kind, name: pods.metadata.name });
      expect(pods.spec.serviceName).toBe(service.metadata.name);
      const { containers, terminationGracePeriodSeconds } = pods.spec.template.spec;
      expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(3600);
      expect(containers[0].readinessProbe.httpGet).toEqual({ path: "/readyz", port: "watch", scheme: "HTTPS" });
    }
  });

  it("is checked by schemas that find what is wrong", () => {
    const [, pods] = files.get("party-p0.yaml")!.objects as unknown as {
      spec: { replicas: unknown };
      validate(): void;
    }[];
    pods.spec.replicas = "many";
    expect(() => pods.validate()).toThrow(/replicas/);
  });
});
