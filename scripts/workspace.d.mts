/** What the tests read of workspace.mjs. */
export function isStale(): boolean;
