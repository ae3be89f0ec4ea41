/** Answers every row of a table: `node data-set.mjs FOLDER reviews.tsv` prints row, answer and label. */
import { answerRows, compile, describeAnswer } from "pumac";

const [folder, data] = process.argv.slice(2);
const plan = await compile(`${folder}/bert_sst2.legacy.op14.onnx`, { dims: { b: 1, s: 48 } });
const rows = answerRows(plan, { data, tokenizer: `${folder}/tokenizer.json` }, { seed: 1 });
let right = 0;
let count = 0;
for await (const { row, answer, label, withheld } of rows) {
  if (withheld || answer.kind !== "class") continue;
  console.log(row, describeAnswer(answer));
  right += answer.best[0].name === ["negative", "positive"][label] ? 1 : 0;
  count += 1;
}
console.log(`${right} of ${count} as the table says`);
