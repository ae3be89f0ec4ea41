/**
 * What a data protection impact assessment asks of a plan, in plain words: who takes part, who receives what and in
 * which form, on which assumption, what is public, what is revealed, what is kept and how it is deleted. The names of
 * the roles are ISO/IEC 4922's.
 */
import { knowledgeOf } from "../client/knowledge.js";
import type { Plan } from "../ir/plan/types.js";

/** A heading with its statements: what it is about, and what is said. */
export interface Statements {
  readonly title: string;
  readonly rows: readonly (readonly [string, string])[];
}

const PARTICIPANTS: Statements = {
  title: "Who takes part",
  rows: [
    [
      "model owner (input party)",
      "has the weights, shares them among the three computing parties once, and may then leave",
    ],
    [
      "data owner (input party and result party)",
      "has the inputs, shares them with each question, puts the answer together",
    ],
    [
      "P0, P1, P2 (computing parties)",
      "compute on shares; each should be an organisation that would not work together with another",
    ],
  ],
};

const ASSUMPTION: Statements = {
  title: "On which assumption",
  rows: [
    [
      "at most one of the three is curious, none cheats",
      "one party that keeps all it receives learns nothing more than this page says; two that pool what " +
        "they have learn everything",
    ],
    ["not audited", "nobody outside the project has examined the program"],
    [
      "the answer",
      "says something about the weights; the more questions, the more. A party may limit questions a day " +
        "(--quota)",
    ],
  ],
};

const KEPT: Statements = {
  title: "What is kept, how long, and how it is deleted",
  rows: [
    [
      "shares of the weights",
      "at each computing party in files of its own (0600), until the model owner has them deleted (pumac " +
        "share --delete ID) or the operator removes them",
    ],
    ["shares of inputs and answers", "in memory, for one session; never written to a file; wiped when it ends"],
    [
      "keys of a session",
      "made anew for each session from random numbers of all three, never stored, but for prepared questions",
    ],
    [
      "prepared questions (pumac prepare)",
      "nothing of an input: at P1 and P2 keys and random material for one question each, encrypted with keys of the " +
        "data owner; used once and removed then, or after 30 days at most, or when the sharing is deleted",
    ],
    [
      "keys of organisations",
      "ECDSA P-256, one a party or owner, on its own machine; the certificate's time is a year unless " +
        "said otherwise",
    ],
    [
      "logs and audit record",
      "time, session, names of those who ask, digests of plan and weights' sharing, bytes, how it ended; " +
        "never a value. Kept until the operator removes them",
    ],
  ],
};

const LINKS: Statements = {
  title: "How it travels",
  rows: [
    [
      "links",
      "TLS 1.3, both certificates pinned; one port a party, that its topology names; a second one for " +
        "watching, loopback unless said otherwise",
    ],
  ],
};

/** The facts of one plan. `digest`: hexadecimal. */
export function assessmentOf(plan: Plan, digest: string): readonly Statements[] {
  const shapes = Object.entries(plan.shapes).map(([name, shape]) => `${name} [${shape.join(",")}]`);
  const open = new Map(plan.disclosed.map(({ name, why }) => [name, why]));
  const inputs = Object.keys(plan.shapes).map((name) => {
    const why = open.get(name);
    return why === undefined
      ? ([name, "secret: shared as uniformly random words, each party alone can make nothing of them"] as const)
      : ([name.toUpperCase(), `PUBLIC: GIVEN TO P1 AND P2 IN THE CLEAR (${why})`] as const);
  });
  const reveals = plan.reveals.map(({ name, shape }) => [`${name} [${shape.join(",")}]`, "to the data owner"] as const);
  return [
    {
      title: "What is assessed",
      rows: [
        ["plan", digest],
        ["model", plan.name],
        ["inputs", shapes.join(", ")],
      ],
    },
    PARTICIPANTS,
    { title: "Who receives what", rows: knowledgeOf(plan).map(({ who, learns }) => [who, learns] as const) },
    { title: "Inputs", rows: inputs },
    { title: "What is revealed", rows: reveals },
    ASSUMPTION,
    LINKS,
    KEPT,
  ];
}

/** The page as Markdown. */
export function assessmentText(facts: readonly Statements[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const parts = facts.map(({ title, rows }) => {
    const lines = rows.map(([what, says]) => `| ${cell(what)} | ${cell(says)} |`);
    return [`## ${title}`, "", "| | |", "|---|---|", ...lines, ""].join("\n");
  });
  return ["# What a private inference does with data", "", ...parts].join("\n");
}
