// usage: node run_directories.mjs REQUEST.json
//
// Writes directories with the WebAssembly module; prints a JSON object with the
// notes on each, or its error. directories_test.py writes the request.

import {readFileSync} from 'node:fs';

import {loadMonoquant} from '../../wasm/loader/monoquant.mjs';
import {openFiles, OutputDirectory} from '../../wasm/loader/node_files.mjs';

function write(monoquant, {input, output, request, chunkBytes}) {
  const files = openFiles(input);
  let directory = null;
  try {
    const run = monoquant.quantize(files, request, (bytes, {name}) => {
      directory ??= new OutputDirectory(output);
      return directory.createSink(bytes, name);
    }, {chunkBytes});
    let step = run.next();
    while (!step.done) step = run.next();
    directory.commit();
    return {notes: step.value.plan.notes};
  } catch (error) {
    directory?.abort();
    return {error: error.message};
  } finally {
    files.close();
  }
}

const request = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const monoquant = await loadMonoquant(readFileSync(request.module));
const found = {};
for (const one of request.cases) found[one.name] = write(monoquant, one);
console.log(JSON.stringify(found));
