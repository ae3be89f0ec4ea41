/** Two examples for the --help of every command; a test holds them to the commands' options. */
export const EXAMPLES: Readonly<Record<string, readonly [string, string]>> = {
  demo: ["", "'A dull film, badly acted.'"],
  compile: [
    "model.onnx --dim batch=1,sequence=128 -o model.pumac",
    "model.onnx --dim b=1,s=48 --calibrate reviews.tsv --tokenizer tokenizer.json --network wan",
  ],
  inspect: ["model.pumac --by node --top 10", "model.pumac --network 400mbps,40ms --budget 'bytes<2GiB,rounds<400'"],
  simulate: [
    "model.pumac --input 'text:A fine film.' --tokenizer tokenizer.json --report report.html",
    "model.pumac --data reviews.tsv --tokenizer tokenizer.json --output answers.csv",
  ],
  verify: ["model.pumac", "model.pumac --model model.onnx"],
  run: [
    "model.pumac --input text:@review.txt --tokenizer tokenizer.json",
    "model.pumac --inputs test_data_set_0 --expect test_data_set_0 --tls",
  ],
  init: ["--party P1 --address p1.example.org:7101", "--owner clinic --folder keys"],
  topology: [
    "add P0.public.toml P2.public.toml --topology P1.toml",
    "add P0.public.toml --topology clinic.toml --replace",
  ],
  party: ["--topology P1.toml", "--topology P1.toml --sessions 8 --memory 16GB --watch 9100 --quota 1000/day"],
  trust: ["approve model.pumac --topology P1.toml", "list --topology P1.toml"],
  share: [
    "model.onnx --plan model.pumac --topology lab.toml",
    "--delete 49d20dcdd5d8f433cd86094c85c4065b --topology lab.toml",
  ],
  prepare: ["model.pumac --topology clinic.toml --count 20", "model.pumac --topology clinic.toml --lanes 4 --days 1"],
  generate: [
    "story.pumac --tokenizer tokenizer.json --prompt 'Once upon a time' --local",
    "story.pumac --tokenizer tok512.bin --prompt @prompt.txt --topology clinic.toml --max-tokens 64",
  ],
  batch: [
    "model.pumac --data reviews.tsv --tokenizer tokenizer.json --output answers.jsonl --local",
    "model.pumac --data rows.jsonl --output answers.jsonl --topology clinic.toml --lanes 4",
  ],
  serve: [
    "story.pumac --tokenizer tokenizer.json --topology clinic.toml",
    "reviews.pumac --tokenizer tokenizer.json --local --port 8000",
  ],
  infer: [
    "model.pumac --input text:@review.txt --tokenizer tokenizer.json --topology clinic.toml",
    "model.pumac --inputs test_data_set_0 --expect test_data_set_0 --topology clinic.toml",
  ],
  model: ["bert-base -o bert.onnx --sequence 128", "--config config.json -o model.onnx --no-weights"],
  bench: ["bert-base --layers 2", "model.onnx --dim batch=1,sequence=128 --profile fourier puma -o json"],
  explain: ["E0203", "W0403 --json"],
  doctor: ["", "--topology clinic.toml --plan model.pumac"],
};
