/** A sentence through a real encoder (`minilm.ts`), a short one. */
import { embedSentence } from "./minilm.js";

embedSentence({ tokens: 12, samples: 6, bytes: 20e6 });
