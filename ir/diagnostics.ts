/**
 * User errors are values: a code, the place, why, and what to do. They are collected and thrown together as one
 * `PumacError`; the command line prints them and exits with the code's documented status. A rule that does not know the
 * place throws a `Refusal`, and whoever applies the rule to a user's node makes a diagnostic of it (`located`).
 * Anything else that is thrown is a bug (exit 1).
 */
import { CATALOGUE, type DiagnosticCode } from "./catalogue.js";

export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** One sentence: what is wrong. Never a secret value. */
  readonly what: string;
  /** The node, file or peer. */
  readonly where?: string;
  readonly why?: string;
  readonly fix?: string;
}

export class PumacError extends Error {
  constructor(readonly diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(printDiagnostic).join("\n"));
    this.name = "PumacError";
  }

  /** The exit status of the first diagnostic (CLI.md). */
  get exitCode(): number {
    return CATALOGUE[this.diagnostics[0].code].exit;
  }
}

/** The error that carries these diagnostics: `throw fail({ code, what, … })`. */
export function fail(...diagnostics: readonly Diagnostic[]): PumacError {
  return new PumacError(diagnostics);
}

/** What the rules of an op refuse: arguments, attributes or values that do not fit it. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** What `action` gives; what a rule refuses in it becomes a diagnostic that says so, any other error goes on. */
export function located<R>(diagnosticOf: (refusal: string) => Diagnostic, action: () => R): R {
  try {
    return action();
  } catch (error) {
    throw error instanceof Refusal ? fail(diagnosticOf(error.message)) : error;
  }
}

/** The diagnostic as the command line shows it, without colour. */
export function printDiagnostic(diagnostic: Diagnostic): string {
  const kind = diagnostic.code.startsWith("W") ? "warning" : "error";
  const lines = [`${kind}[${diagnostic.code}]: ${diagnostic.what}`];
  if (diagnostic.where !== undefined) {
    lines.push(`  at:  ${diagnostic.where}`);
  }
  if (diagnostic.why !== undefined) {
    lines.push(`  why: ${diagnostic.why}`);
  }
  if (diagnostic.fix !== undefined) {
    lines.push(`  fix: ${diagnostic.fix}`);
  }
  return lines.join("\n");
}
