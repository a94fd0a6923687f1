// Quantizes, converts or dequantizes a checkpoint under Node: the shortest
// complete use of the loader, and what tests run the module with.
//
// usage: node quantize_file.mjs MODULE INPUT OUTPUT REQUEST [CHUNK_BYTES]
//
// REQUEST is the JSON of mq_plan (wasm/monoquant_c.h): '{"format": "torch"}'.
// OUTPUT is a file or, for a format that is one, a directory.
// Prints the results as JSON; an error is one line, and the exit status is that
// of the command line.

import {readFileSync} from 'node:fs';

import {loadMonoquant, MonoquantError} from './monoquant.mjs';
import {FileSink, openFiles, OutputDirectory} from './node_files.mjs';

const [modulePath, input, output, request, chunkBytes] = process.argv.slice(2);
if (request === undefined) {
  console.error(
      'usage: quantize_file.mjs MODULE INPUT OUTPUT REQUEST [CHUNK_BYTES]');
  process.exit(2);
}

let directory = null;

function createSink(bytes, {name}, info) {
  if (!info.output.directory) return new FileSink(output, bytes);
  directory ??= new OutputDirectory(output);
  return directory.createSink(bytes, name);
}

try {
  const monoquant = await loadMonoquant(readFileSync(modulePath));
  const steps = monoquant.quantize(
      openFiles(input), JSON.parse(request), createSink,
      {chunkBytes: Number(chunkBytes ?? 0)});
  let step = steps.next();
  while (!step.done) step = steps.next();
  directory?.commit();
  console.log(JSON.stringify(step.value.results));
} catch (error) {
  directory?.abort();
  console.error(`error: ${error.message}`);
  process.exitCode = error instanceof MonoquantError ? error.exitCode : 5;
}
