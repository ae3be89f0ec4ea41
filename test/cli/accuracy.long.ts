/** The trained BERT on sentences (`accuracy.ts`), all of them. */
import { describe } from "vitest";
import { answerSentences } from "./accuracy.js";

describe("the trained BERT", () => answerSentences(true));
