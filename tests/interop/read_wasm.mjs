// usage: node read_wasm.mjs REQUEST.json
//
// Opens checkpoints in the WebAssembly module; prints a JSON array with the
// document of each and, where asked for, the sha256 of a copy of its tensors.
// wasm_test.py writes the request.

import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';

import {loadMonoquant} from '../../wasm/loader/monoquant.mjs';
import {openFiles} from '../../wasm/loader/node_files.mjs';
import {MemorySink} from '../../wasm/testing/checkpoints.mjs';

function copy(monoquant, files) {
  let sink;
  const run = monoquant.quantize(
      files, {mode: 'convert', format: 'mqir'},
      (size) => sink = new MemorySink(size));
  while (!run.next().done);
  return createHash('sha256').update(sink.bytes).digest('hex');
}

function read(monoquant, {path, options, copied}) {
  const files = {...openFiles(path), ...options};
  try {
    const found = {document: monoquant.inspect(files)};
    if (copied) found.sha256 = copy(monoquant, files);
    return found;
  } catch (error) {
    return {error: String(error)};
  } finally {
    files.close();
  }
}

const request = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const monoquant = await loadMonoquant(readFileSync(request.module));
console.log(JSON.stringify(
    request.checkpoints.map((checkpoint) => read(monoquant, checkpoint))));
