/** The trained BERT on sentences (`accuracy.ts`), a part of them. */
import { describe } from "vitest";
import { answerSentences } from "./accuracy.js";

describe("the trained BERT", () => answerSentences(false));
