// Runs in the page: how long a whole run of the package takes, and how long the
// same file takes to be read alone.

/** What has been done of it: the benchmark watches it move. */
export const progress = {bytes: 0};

/** Seconds to read the file with so many workers. */
export async function readAlone(script, file, workers) {
  const begin = performance.now();
  await Promise.all(Array.from({length: workers}, (_, part) => new Promise(
      (resolve, reject) => {
        const worker = new Worker(script, {type: 'module'});
        worker.onerror = reject;
        worker.onmessage = ({data}) => {
          progress.bytes = data.read;
          if (!data.done) return;
          worker.terminate();
          resolve();
        };
        worker.postMessage({file, part, parts: workers});
      })));
  return (performance.now() - begin) / 1000;
}

/** Seconds to quantize it, up to the last byte written. */
export async function quantize(packageUrl, file, request, workers) {
  const {open} = await import(packageUrl);
  const checkpoint = await open(file);
  try {
    const plan = await checkpoint.plan(request);
    const begin = performance.now();
    const run = plan.run({workers, hash: false});
    for await (const {bytesDone} of run) progress.bytes = bytesDone;
    const result = await run.result;
    const seconds = (performance.now() - begin) / 1000;
    await result.dispose();
    return seconds;
  } finally {
    checkpoint.close();
  }
}
