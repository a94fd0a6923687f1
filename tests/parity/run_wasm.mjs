// usage: node run_wasm.mjs REQUEST.json
//
// Runs cases of quantization in the WebAssembly module; prints a JSON object
// with the sha256 of each output. run.py writes the request.

import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';

import {loadMonoquant} from '../../wasm/loader/monoquant.mjs';
import {openFiles} from '../../wasm/loader/node_files.mjs';
import {MemorySink} from '../../wasm/testing/checkpoints.mjs';

function quantize(monoquant, {input, recipe, format}, chunkBytes) {
  const files = openFiles(input);
  let sink;
  const run = monoquant.quantize(
      files, {recipe, format}, (size) => sink = new MemorySink(size),
      {chunkBytes});
  while (!run.next().done);
  files.close();
  return sink.bytes;
}

const request = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const monoquant = await loadMonoquant(readFileSync(request.module));
const found = {};
for (const one of request.cases) {
  const output = quantize(monoquant, one, request.chunkBytes);
  found[one.name] = createHash('sha256').update(output).digest('hex');
}
console.log(JSON.stringify(found));
