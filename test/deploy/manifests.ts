/**
 * What `deploy/kubernetes` holds, as typed objects: for each organisation its party, a pod for each lane. Nothing is
 * shared between organisations: each applies its own file, in its own cluster.
 */
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { StatefulSet } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { Service } from "kubernetes-models/v1";
import { stringify } from "yaml";

const PORT = 7100;
const WATCHED = 9100;
/** As long as a session may take. */
const DRAINING = 3600;
const MOST_LANES = 8;

interface Manifest {
  validate(): void;
  toJSON(): unknown;
}

/** The party's container: the pod's ordinal is its lane. */
function container(party: "P0" | "P1" | "P2") {
  const probe = (path: string) => ({ httpGet: { path, port: "watch", scheme: "HTTPS" as const }, periodSeconds: 5 });
  return {
    name: "party",
    image: "pumac:0.1.0",
    args: [
      ...["party", "--topology", `/party/${party}.toml`, "--lane", "$(LANE)"],
      ...["--watch", `0.0.0.0:${WATCHED}`],
    ],
    env: [
      {
        name: "LANE",
        valueFrom: { fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" } },
      },
    ],
    ports: [
      { name: "party", containerPort: PORT },
      { name: "watch", containerPort: WATCHED },
    ],
    readinessProbe: probe("/readyz"),
    livenessProbe: { ...probe("/healthz"), failureThreshold: 6 },
    resources: { requests: { cpu: "2", memory: "2Gi" }, limits: { memory: "8Gi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [
      { name: "identity", mountPath: "/party", readOnly: true },
      { name: "state", mountPath: "/state" },
    ],
  };
}

/** What one organisation applies for its party: a headless service, a pod for each lane, how many may be away. */
function partyManifests(party: "P0" | "P1" | "P2"): readonly Manifest[] {
  const name = `pumac-${party.toLowerCase()}`;
  const labels = { "app.kubernetes.io/name": "pumac", "app.kubernetes.io/component": party.toLowerCase() };
  return [
    new Service({
      metadata: { name, labels },
      spec: {
        clusterIP: "None",
        // A party finds its own name, at which it listens, before it is ready.
        publishNotReadyAddresses: true,
        selector: labels,
        ports: [{ name: "party", port: PORT, targetPort: "party" }],
      },
    }),
    new StatefulSet({
      metadata: { name, labels },
      spec: {
        serviceName: name,
        replicas: 1,
        podManagementPolicy: "Parallel",
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds: DRAINING,
            securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 },
            containers: [container(party)],
            volumes: [{ name: "identity", secret: { secretName: `${name}-identity`, defaultMode: 0o440 } }],
          },
        },
        volumeClaimTemplates: [
          {
            metadata: { name: "state" },
            spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "10Gi" } } },
          },
        ],
      },
    }),
    new PodDisruptionBudget({
      metadata: { name, labels },
      spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
    }),
  ];
}

/** As many lanes as requests wait for, two each: of a queue whose depth the organisation may see. */
function scaler(party: "P0" | "P1" | "P2"): Manifest {
  const name = `pumac-${party.toLowerCase()}`;
  return new ScaledObject({
    metadata: { name },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "StatefulSet", name },
      minReplicaCount: 1,
      maxReplicaCount: MOST_LANES,
      cooldownPeriod: DRAINING,
      triggers: [
        {
          type: "nats-jetstream",
          metadata: {
            natsServerMonitoringEndpoint: "nats.example.org:8222",
            account: "$G",
            stream: "pumac",
            consumer: "lanes",
            lagThreshold: "2",
          },
        },
      ],
    },
  });
}

const HEAD = `# Made by test/deploy/manifests.ts (BLESS=1). docs/operations.md, "Lanes", says how it is used.\n`;

/** Every file of deploy/kubernetes, and what it holds. */
export function manifests(): ReadonlyMap<string, { readonly text: string; readonly objects: readonly Manifest[] }> {
  const parties = (["P0", "P1", "P2"] as const).flatMap((party): [string, readonly Manifest[]][] => [
    [`party-${party.toLowerCase()}.yaml`, partyManifests(party)],
    [`scaler-${party.toLowerCase()}.yaml`, [scaler(party)]],
  ]);
  return new Map(
    parties.map(([name, objects]) => {
      const texts = objects.map((object) => stringify(object.toJSON(), { lineWidth: 0 }));
      return [name, { text: HEAD + texts.join("---\n"), objects }];
    }),
  );
}
